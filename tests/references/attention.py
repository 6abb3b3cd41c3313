"""Cases of the family: attention, embeddings and the bilinear map.

Arrays of the attention function are (batch, heads, time, dim) in torch and stored as (batch, time,
heads, dim), which is our layout; those of `nn.MultiheadAttention` are (batch, time, features) in
both. Gradients are those of a sum over all outputs, each number with another weight.
"""


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    return {
        "plain": _function(torch),
        "scaled": _function(torch, scale=0.3),
        "causal": _function(torch, is_causal=True),
        "mask": _function(torch, masked=True),
        "grouped": _function(torch, groups=2, enable_gqa=True),
        "self": _self_attention(torch),
        "cross": _cross_attention(torch),
        "bilinear": _bilinear(torch),
        "embedding": _embedding(torch),
    }


def _weighted(torch, y):
    return (torch.cos(torch.arange(y.numel())).reshape(y.shape) * y).sum()


def _normal(torch, *shape):
    return torch.randn(*shape, requires_grad=True)


def _arrays(named, loss):
    """Values by name, and the gradients of `loss` to those that need one."""
    loss.backward()
    values = {name: tensor.detach().numpy() for name, tensor in named.items()}
    leaves = {name: tensor for name, tensor in named.items() if tensor.is_leaf}
    return values | {
        f"grad_{name}": tensor.grad.numpy()
        for name, tensor in leaves.items()
        if tensor.grad is not None
    }


def _function(torch, groups=4, masked=False, **options):
    query = _normal(torch, 2, 3, 4, 2)
    key, value = _normal(torch, 2, 5, groups, 2), _normal(torch, 2, 5, groups, 3)
    named = {"query": query, "key": key, "value": value}
    if masked:
        # Every query keeps a key: torch gives NaN otherwise.
        named["mask"] = (torch.rand(2, 1, 3, 5) < 0.5) | (torch.arange(5) == 1)
        options["attn_mask"] = named["mask"]
    query, key, value = (a.transpose(1, 2) for a in (query, key, value))
    y = torch.nn.functional.scaled_dot_product_attention(query, key, value, **options)
    named["y"] = y.transpose(1, 2)
    return _arrays(named, _weighted(torch, named["y"]))


def _attended(torch, layer, query, key, value, **options):
    y, weights = layer(query, key, value, average_attn_weights=False, **options)
    named = {name.replace(".", "_"): p for name, p in layer.named_parameters()}
    named |= {"query": query, "key": key, "value": value, "y": y, "weights": weights}
    return _arrays(named, _weighted(torch, y) + _weighted(torch, weights))


def _self_attention(torch):
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    with torch.no_grad():  # They start at zero, which would show nothing.
        layer.in_proj_bias.normal_()
        layer.out_proj.bias.normal_()
    x = _normal(torch, 2, 3, 4)
    return _attended(torch, layer, x, x, x)


def _cross_attention(torch):
    layer = torch.nn.MultiheadAttention(4, 2, bias=False, kdim=3, vdim=5, batch_first=True)
    query, key = _normal(torch, 2, 3, 4), _normal(torch, 2, 4, 3)
    hidden = ~torch.tril(torch.ones(3, 4, dtype=torch.bool))
    value = _normal(torch, 2, 4, 5)
    return _attended(torch, layer, query, key, value, attn_mask=hidden)


def _bilinear(torch):
    layer = torch.nn.Bilinear(3, 2, 4)
    named = {"x": _normal(torch, 5, 3), "other": _normal(torch, 5, 2)}
    named["y"] = layer(named["x"], named["other"])
    named |= {"weight": layer.weight, "bias": layer.bias}
    return _arrays(named, _weighted(torch, named["y"]))


def _embedding(torch):
    layer = torch.nn.Embedding(4, 3)
    indices = torch.tensor([[0, 2, 2], [3, 0, 2]])
    y = layer(indices)
    named = {"indices": indices, "weight": layer.weight, "y": y}
    return _arrays(named, _weighted(torch, y))
