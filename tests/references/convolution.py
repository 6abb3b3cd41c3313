"""Cases of the family: convolution and pooling, channels last, weights as torch has them."""


def _last(torch, a):
    return torch.movedim(a, 1, -1)


def _case(torch, f, **inputs):
    """y = f(**inputs), and the gradients of (cotangent y).sum() with respect to the inputs."""
    inputs = {name: a.detach().requires_grad_() for name, a in inputs.items()}
    y = f(**inputs)
    cotangent = torch.randn_like(y)
    gradients = torch.autograd.grad((cotangent * y).sum(), list(inputs.values()))
    named = dict(inputs, y=y, cotangent=cotangent)
    named |= {f"d_{name}": g for name, g in zip(inputs, gradients, strict=True)}
    images = ("x", "d_x", "y", "cotangent")
    return {
        name: (_last(torch, a) if name in images else a).detach().numpy()
        for name, a in named.items()
    }


def _convolutions(torch):
    functions = torch.nn.functional
    weight1, bias = torch.randn(4, 3, 3), torch.randn(4)
    weight2 = torch.randn(4, 2, 3, 2)
    x1, x2 = torch.randn(2, 3, 8), torch.randn(2, 4, 6, 7)
    spread = {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2}

    def conv1d(x, weight, bias):
        return functions.conv1d(x, weight, bias, stride=2, padding=1)

    def conv2d(x, weight, bias):
        return functions.conv2d(x, weight, bias, **spread)

    def flipped(x, weight, bias):
        return functions.conv2d(x, weight.flip((2, 3)), bias, **spread)

    def conv3d(x, weight):
        return functions.conv3d(x, weight)

    def circular(x, weight, bias):
        padded = functions.pad(x, (1, 0, 2, 1), mode="circular")
        return functions.conv2d(padded, weight, bias, groups=2)

    def reflect(x, weight, bias):
        padded = functions.pad(x, (1, 0, 2, 1), mode="reflect")
        return functions.conv2d(padded, weight, bias, groups=2)

    made = {"conv1d": _case(torch, conv1d, x=x1, weight=weight1, bias=bias)}
    for f in (conv2d, flipped, circular, reflect):
        made[f.__name__] = _case(torch, f, x=x2, weight=weight2, bias=bias)
    x3, weight3 = torch.randn(2, 2, 3, 4, 3), torch.randn(4, 2, 2, 2, 2)
    made["conv3d"] = _case(torch, conv3d, x=x3, weight=weight3)
    return made


def _transposes(torch):
    functions = torch.nn.functional
    x1, x2 = torch.randn(2, 3, 4), torch.randn(2, 4, 3, 4)
    weight1, weight2 = torch.randn(3, 4, 3), torch.randn(4, 2, 3, 2)
    bias = torch.randn(4)
    spread = {"stride": (2, 3), "padding": (2, 0), "output_padding": (1, 2), "dilation": (2, 1)}

    def transpose1d(x, weight, bias):
        return functions.conv_transpose1d(x, weight, bias, stride=2, padding=1)

    def transpose2d(x, weight, bias):
        return functions.conv_transpose2d(x, weight, bias, groups=2, **spread)

    def transpose_flipped(x, weight, bias):
        return functions.conv_transpose2d(x, weight.flip((2, 3)), bias, groups=2, **spread)

    made = {"transpose1d": _case(torch, transpose1d, x=x1, weight=weight1, bias=bias)}
    for f in (transpose2d, transpose_flipped):
        made[f.__name__] = _case(torch, f, x=x2, weight=weight2, bias=bias)
    return made


def _pools(torch):
    functions = torch.nn.functional
    options = {"stride": (1, 2), "padding": (1, 0)}

    def max_pool(x):
        return functions.max_pool2d(x, (3, 2), dilation=(1, 2), **options)

    def mean_pool(x):
        return functions.avg_pool2d(x, (3, 2), **options)

    def lp_pool(x):
        return functions.lp_pool2d(x, 2.0, (3, 2), stride=(1, 2))

    def lp_pool_of_three(x):
        return functions.lp_pool2d(x.abs(), 3.0, (3, 2), stride=(1, 2))

    def lp_pool_of_a_fraction(x):
        return functions.lp_pool2d(x.abs(), 1.5, (3, 2), stride=(1, 2))

    pools = (max_pool, mean_pool, lp_pool, lp_pool_of_three, lp_pool_of_a_fraction)
    return {f.__name__: _case(torch, f, x=torch.randn(2, 3, 5, 6)) for f in pools}


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    return _convolutions(torch) | _transposes(torch) | _pools(torch)
