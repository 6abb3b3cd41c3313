"""Cases of the family: recurrent."""

IN, OUT, BATCH, TIME = 2, 3, 4, 5
LENGTHS = [5, 3, 1, 4]
CELLS = ("RNN", "LSTM", "GRU")


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    made = {}
    for kind in CELLS:
        name = kind.lower()
        made[f"{name}_cell"] = _one_step(torch, kind)
        for case, options in (
            ("", {}),
            ("_two_layers", {"num_layers": 2}),
            ("_bidirectional", {"bidirectional": True}),
        ):
            made[f"{name}{case}"] = _sequence(torch, kind, options)
            made[f"{name}{case}_packed"] = _sequence(torch, kind, options, LENGTHS)
    return made


def _one_step(torch, kind):
    cell = getattr(torch.nn, f"{kind}Cell")(IN, OUT)
    x = torch.randn(BATCH, IN, requires_grad=True)
    carry = [torch.randn(BATCH, OUT, requires_grad=True) for _ in range(1 + (kind == "LSTM"))]
    out = cell(x, tuple(carry) if kind == "LSTM" else carry[0])
    after = list(out) if kind == "LSTM" else [out]
    return _with_gradients(torch, cell, x, carry, [*after])


def _sequence(torch, kind, options, lengths=None):
    model = getattr(torch.nn, kind)(IN, OUT, batch_first=True, **options)
    starts = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    x = torch.randn(BATCH, TIME, IN, requires_grad=True)
    carry = [
        torch.randn(starts, BATCH, OUT, requires_grad=True) for _ in range(1 + (kind == "LSTM"))
    ]
    given = x
    if lengths is not None:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
    y, after = model(given, tuple(carry) if kind == "LSTM" else carry[0])
    if lengths is not None:
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    after = list(after) if kind == "LSTM" else [after]
    return _with_gradients(torch, model, x, carry, [y, *after])


def _with_gradients(torch, model, x, carry, outputs):
    """All arrays by name; the loss weighs each number of an output with the cosine of its place."""
    names = [f"carry_{i}" for i in range(len(carry))]
    inputs = {"x": x, **dict(zip(names, carry, strict=True)), **dict(model.named_parameters())}
    loss = sum((torch.cos(torch.arange(y.numel() * 1.0)).view(y.shape) * y).sum() for y in outputs)
    grads = torch.autograd.grad(loss, list(inputs.values()))
    arrays = dict(inputs)
    arrays |= {f"out_{i}": y for i, y in enumerate(outputs)}
    arrays |= {f"grad_{name}": grad for name, grad in zip(inputs, grads, strict=True)}
    return {name: array.detach().numpy() for name, array in arrays.items()}
