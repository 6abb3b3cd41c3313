"""Cases of the family: normalization."""

EPSILON = 1e-5


def cases(torch):
    """Inputs, weights, outputs and gradients by case; channels last, as ours."""
    functional = torch.nn.functional
    return {
        "batch_norm": _batch_norm(torch, torch.nn.BatchNorm1d(3), (5, 3)),
        "batch_norm_images": _batch_norm(torch, torch.nn.BatchNorm2d(2), (3, 2, 4, 2)),
        "instance_norm": _batch_norm(
            torch, torch.nn.InstanceNorm1d(2, affine=True, track_running_stats=True), (3, 4, 2)
        ),
        "group_norm": _case(
            torch,
            (2, 3, 6),
            (6,),
            lambda x, s, b: _last(functional.group_norm(_first(x), 3, s, b, EPSILON)),
        ),
        "layer_norm": _case(
            torch,
            (4, 2, 3),
            (2, 3),
            lambda x, s, b: functional.layer_norm(x, (2, 3), s, b, EPSILON),
        ),
        "rms_norm": _case(
            torch,
            (4, 3),
            (3,),
            lambda x, s, b: functional.rms_norm(x, (3,), s, EPSILON) + 0 * b,
        ),
        "weight_norm": _weight_norm(torch, 0),
        "weight_norm_whole": _weight_norm(torch, -1),
    }


def _first(x):
    return x.movedim(-1, 1)


def _last(x):
    return x.movedim(1, -1)


def _with_gradients(torch, y, inputs):
    """The output, the weights of a sum of its entries, and the gradients of that sum."""
    seed = torch.cos(torch.arange(y.numel())).reshape(y.shape)
    names = list(inputs)
    gradients = torch.autograd.grad((seed * y).sum(), [inputs[name] for name in names])
    found = {f"{name}_gradient": g for name, g in zip(names, gradients, strict=True)}
    tensors = {**inputs, "y": y, "seed": seed, **found}
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _case(torch, shape, features, forward):
    inputs = {
        "x": torch.randn(shape),
        "scale": torch.randn(features),
        "bias": torch.randn(features),
    }
    for tensor in inputs.values():
        tensor.requires_grad_()
    return _with_gradients(torch, forward(*inputs.values()), inputs)


def _batch_norm(torch, module, shape):
    """Two steps of training, and the same input in test mode."""
    with torch.no_grad():
        module.weight.normal_()
        module.bias.normal_()
    first, x = torch.randn(shape), (3 * torch.randn(shape) + 1).requires_grad_()
    module(_first(first))
    made = {"first": first.numpy()}
    inputs = {"x": x, "scale": module.weight, "bias": module.bias}
    made |= _with_gradients(torch, _last(module(_first(x))), inputs)
    # Copied: a module updates its buffers in place.
    made["running_mean"] = module.running_mean.numpy().copy()
    made["running_var"] = module.running_var.numpy().copy()
    module.eval()
    tested = _with_gradients(torch, _last(module(_first(x))), inputs)
    return made | {f"test_{name}": array for name, array in tested.items()}


def _weight_norm(torch, dim):
    v = torch.randn((3, 2), requires_grad=True)
    g = torch.randn((3, 1) if dim == 0 else (1, 1), requires_grad=True)
    x = torch.randn((4, 2), requires_grad=True)
    weight = torch._weight_norm(v, g if dim == 0 else g.reshape(()), dim)
    return _with_gradients(torch, torch.tanh(x @ weight.T), {"x": x, "v": v, "g": g})
