"""The terms of every activation and of its first three derivatives, in 50 digits.

Each derivative is the sum of the terms that the product and the chain rule give. A computed sum is
wrong by a few units in the last place of its largest term, which is what the tests allow.
"""

import math
from collections.abc import Callable

import mpmath

mp = mpmath.mp.clone()
mp.dps = 50

Terms = list[list[mpmath.mpf]]
"""For each order, 0 to 3, the terms of a sum."""


def function(name: str) -> Callable[[mpmath.mpf], Terms]:
    """The terms of the activation called `name`, as a function of x."""
    return _ACTIVATIONS[name]


def _tanh(x):
    t, s = mp.tanh(x), mp.sech(x) ** 2
    return [[t], [s], [-2 * t * s], [4 * t * t * s, -2 * s * s]]


def _logistic(x):
    y, t = 1 / (1 + mp.exp(-x)), mp.tanh(x / 2)
    s = y / (1 + mp.exp(x))
    return [[y], [s], [-s * t], [s * t * t, -s * mp.sech(x / 2) ** 2 / 2]]


def _integral(value, derivative):
    """A function by its value and the terms of its derivative."""
    return lambda x: [[value(x)], *derivative(x)[:3]]


def _times_x(gate):
    def terms(x):
        g = gate(x)
        products = [[x * term for term in order] for order in g]
        lower = [[], *([k * term for term in g[k - 1]] for k in (1, 2, 3))]
        return [a + b for a, b in zip(products, lower, strict=True)]

    return terms


def _of(outer, inner):
    """The chain rule, for an inner function by its value and its first three derivatives."""

    def terms(x):
        z, z1, z2, z3 = inner(x)
        f = outer(z)
        return [
            f[0],
            [t * z1 for t in f[1]],
            [t * z1**2 for t in f[2]] + [t * z2 for t in f[1]],
            [t * z1**3 for t in f[3]] + [3 * t * z1 * z2 for t in f[2]] + [t * z3 for t in f[1]],
        ]

    return terms


def _gelu_argument(x):
    rate, cubic = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    return (
        rate * (x + cubic * x**3),
        rate * (1 + 3 * cubic * x**2),
        6 * rate * cubic * x,
        (6 * rate * cubic),
    )


def _normal(x):
    """The normal distribution function; its density and that density's derivatives."""
    p = mp.npdf(x)
    return [[mp.erfc(-x / mp.sqrt(2)) / 2], [p], [-x * p], [x * x * p, -p]]


def _mish_gate(x):
    w = mp.exp(x)
    d, sigmoid = w * w + 2 * w + 2, w / (1 + w)
    slope = 4 * w * (1 + w) / d**2
    q = 2 * w * (1 + w) / d
    third = [(1 + sigmoid) ** 2, -4 * (1 + sigmoid) * q, 4 * q * q, sigmoid / (1 + w)]
    third += [-2 * (4 * w * w + 2 * w) / d, 2 * q * q]
    return [
        [(w * w + 2 * w) / d],
        [slope],
        [slope * (1 + sigmoid), -2 * slope * q],
        [slope * term for term in third],
    ]


def _exponential(scale, alpha):
    def terms(x):
        if x > 0:
            return [[scale * x], [scale], [mp.zero], [mp.zero]]
        e = scale * alpha * mp.exp(x)
        return [[scale * alpha * mp.expm1(x)], [e], [e], [e]]

    return terms


def _softsign(x):
    sign, size = (1 if x > 0 else -1), 1 + abs(x)
    return [[x / size], [size**-2], [-2 * sign * size**-3], [6 * size**-4]]


def _tanhshrink(x):
    t, s = mp.tanh(x), mp.sech(x) ** 2
    # The difference has no digits left near 0.
    value = x - t if abs(x) > 1e-9 else x**3 / 3 - 2 * x**5 / 15
    return [[value], [t * t], [2 * t * s], [2 * s * s, -4 * t * t * s]]


def _line(x, offset, slope):
    return [[x * slope, offset], [slope], [mp.zero], [mp.zero]]


def _pieces(*pieces):
    """Straight lines: each is (up to which x, offset, slope)."""

    def terms(x):
        _, offset, slope = next(p for p in pieces if x <= p[0])
        return _line(x, mp.mpf(offset), mp.mpf(slope))

    return terms


def _hardswish(x):
    if -3 < x < 3:
        return [[x / 2, x * x / 6], [mp.mpf(0.5), x / 3], [1 / mp.mpf(3)], [mp.zero]]
    return _line(x, mp.zero, mp.mpf(x >= 3))


_INF = mp.inf
_SIXTH = mp.one / 6
_relu = _pieces((0, 0, 0), (_INF, 0, 1))
_SELU_SCALE = mp.mpf("1.0507009873554804934193349852946")
_SELU_ALPHA = mp.mpf("1.6732632423543772848170429916717")

_ACTIVATIONS: dict[str, Callable[[mpmath.mpf], Terms]] = {
    "identity": lambda x: _line(x, mp.zero, mp.one),
    "relu": _relu,
    "relu6": _pieces((0, 0, 0), (6, 0, 1), (_INF, 6, 0)),
    "leakyrelu": _pieces((0, 0, mp.mpf("0.01")), (_INF, 0, 1)),
    "rrelu": _pieces((0, 0, mp.mpf(11) / 48), (_INF, 0, 1)),
    "trelu": _pieces((1, 0, 0), (_INF, 0, 1)),
    "thresholdrelu": _pieces((1, 0, 0), (_INF, 0, 1)),
    "hardtanh": _pieces((-1, -1, 0), (1, 0, 1), (_INF, 1, 0)),
    "hardsigmoid": _pieces((-3, 0, 0), (3, 0.5, _SIXTH), (_INF, 1, 0)),
    "softshrink": _pieces((-0.5, 0.5, 1), (0.5, 0, 0), (_INF, -0.5, 1)),
    "hardswish": _hardswish,
    "elu": _exponential(1, 1),
    "celu": _exponential(1, 1),
    "selu": _exponential(_SELU_SCALE, _SELU_ALPHA),
    "sigmoid": _logistic,
    "sigmoid_fast": _logistic,
    "softplus": _integral(lambda x: mp.log1p(mp.exp(x)), _logistic),
    "logsigmoid": _integral(
        lambda x: -mp.log1p(mp.exp(-x)),
        lambda x: [[(-1) ** k * t for t in order] for k, order in enumerate(_logistic(-x))],
    ),
    "tanh": _tanh,
    "tanh_fast": _tanh,
    "logcosh": _integral(lambda x: mp.log1p(2 * mp.sinh(x / 2) ** 2), _tanh),
    "tanhshrink": _tanhshrink,
    "softsign": _softsign,
    "lisht": _times_x(_tanh),
    "swish": _times_x(_logistic),
    "mish": _times_x(_mish_gate),
    "gelu": _times_x(_of(_logistic, _gelu_argument)),
    "gelu_tanh": _times_x(_of(_logistic, _gelu_argument)),
    "gelu_sigmoid": _times_x(
        _of(_logistic, lambda x: (x * mp.mpf("1.702"), mp.mpf("1.702"), 0, 0))
    ),
    "gelu_erf": _times_x(_normal),
}


def worst(found, points, name, order, floor, eps):
    """The largest error in units of `eps` times the largest term, and where it is."""
    errors = [(0.0, 0.0)]
    for point, entry in zip(points, found, strict=True):
        x, value = float(point), float(entry)
        terms = function(name)(mp.mpf(x))[order]
        error, largest = mp.inf, max(map(abs, terms))
        if math.isfinite(value):
            error = max(abs(mp.mpf(value) - mp.fsum(terms)) - floor, 0)
        if error:
            errors.append((float(error / largest) / eps if largest else math.inf, x))
    return max(errors)
