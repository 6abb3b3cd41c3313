"""A small network whose derivatives mpmath computes to many digits."""

import mpmath as mp

from sciml_lux import StatefulLuxLayer, nn, setup

MODEL = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1))


def network(dtype, seed=0):
    return StatefulLuxLayer(MODEL, *setup(seed, MODEL, dtype=dtype))


def exact(f, **changed):
    """The network `f` as a function of two mpmath numbers; `changed` are entries of its weights."""
    first, last = f.ps.layer_1, f.ps.layer_2
    bias = [mp.mpf(float(b)) for b in first.bias]
    weights = [[mp.mpf(float(w)) for w in row] for row in first.weight]
    if "weight" in changed:
        weights[0][0] = changed["weight"]

    def value(x, y):
        hidden = [mp.tanh(w[0] * x + w[1] * y + b) for w, b in zip(weights, bias, strict=True)]
        out = [mp.mpf(float(w)) for w in last.weight[0]]
        return mp.fsum(w * h for w, h in zip(out, hidden, strict=True)) + mp.mpf(
            float(last.bias[0])
        )

    return value


def derivative(value, point, orders):
    """A mixed derivative of `value` at `point`, whose 30 digits are right."""
    with mp.workdps(40):
        point = tuple(mp.mpf(float(p)) for p in point)
        return mp.diff(value, point, orders)


def in_float32(f):
    """`f` with one result rounded to float32 on the way: the twin that a test must see."""
    return lambda x: f(x.astype("float32").astype(x.dtype))
