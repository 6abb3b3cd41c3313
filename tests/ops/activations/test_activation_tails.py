"""Activations where they have become straight lines: value, slope and curvature are the limits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import ops
from tests.catalogue import ACTIVATIONS
from tests.conftest import X64, needs_x64

mp = mpmath.mp.clone()
mp.dps = 60

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
ZERO, ONE, LINE = (0.0, 0.0), (0.0, 1.0), (1.0, 0.0)

# Each tail as slope and offset: on the left, on the right.
TAILS = {
    "identity": (LINE, LINE),
    "leakyrelu": ((0.01, 0.0), LINE),
    "rrelu": ((11 / 48, 0.0), LINE),
    "elu": ((0.0, -1.0), LINE),
    "celu": ((0.0, -1.0), LINE),
    "selu": ((0.0, -SCALE * ALPHA), (SCALE, 0.0)),
    "relu6": (ZERO, (0.0, 6.0)),
    "sigmoid": (ZERO, ONE),
    "sigmoid_fast": (ZERO, ONE),
    "hardsigmoid": (ZERO, ONE),
    "logsigmoid": (LINE, ZERO),
    "tanh": ((0.0, -1.0), ONE),
    "tanh_fast": ((0.0, -1.0), ONE),
    "hardtanh": ((0.0, -1.0), ONE),
    "softsign": ((0.0, -1.0), ONE),
    "tanhshrink": ((1.0, 1.0), (1.0, -1.0)),
    "softshrink": ((1.0, 0.5), (1.0, -0.5)),
    "lisht": ((-1.0, 0.0), LINE),
    "logcosh": ((-1.0, -np.log(2.0)), (1.0, -np.log(2.0))),
    **dict.fromkeys(["relu", "trelu", "thresholdrelu", "softplus"], (ZERO, LINE)),
    **dict.fromkeys(["swish", "hardswish", "mish"], (ZERO, LINE)),
    **dict.fromkeys(["gelu", "gelu_erf", "gelu_tanh", "gelu_sigmoid"], (ZERO, LINE)),
}


def test_every_activation_has_its_tails():
    assert {entry.name for entry in ACTIVATIONS} == set(TAILS)


def far(dtype):
    """Huge numbers of a dtype, its largest and infinity."""
    largest = float(jnp.finfo(dtype).max)
    return [*(x for x in (1e4, 1e30, 1e200) if x < largest), largest, np.inf]


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def reverse(f):
    return lambda x: jax.vjp(f, x)[1](jnp.ones_like(x))[0]


def orders(f):
    """Value, slopes and curvatures of an elementwise function, in both modes."""
    derivatives = (f, forward(f), reverse(f), forward(forward(f)), reverse(reverse(f)))
    return jax.jit(lambda x: jnp.stack([of(x) for of in derivatives]))


@pytest.mark.any_precision
@pytest.mark.parametrize("name", sorted(TAILS))
@pytest.mark.parametrize("at", ["float16", "bfloat16", "float32"] + ["float64"] * X64)
def test_value_slope_and_curvature_far_out_are_the_limits(name, at):
    points, eps = far(at), float(jnp.finfo(at).eps)
    x = np.asarray([[-point for point in points], points])
    found = np.asarray(orders(getattr(ops, name))(jnp.asarray(x, at)), float)
    slopes, offsets = (np.asarray(part)[:, None] for part in zip(*TAILS[name], strict=True))
    with np.errstate(all="ignore"):
        want = np.where(slopes == 0, offsets, slopes * x + offsets).astype(jnp.dtype(at))
    np.testing.assert_allclose(found[0], want.astype(float), rtol=1e-4 + 2 * eps)
    np.testing.assert_allclose(
        found[1:3], np.stack([slopes + np.zeros_like(x)] * 2), rtol=2 * eps, atol=1.1e-8
    )
    np.testing.assert_allclose(found[3:], 0.0, atol=1e-11)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


# Where they hand over to their tails nothing may be cut off: each is followed down to 1e-290.
GATED = {
    "swish": (lambda x: x * sigmoid(x), 660),
    "mish": (lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), 660),
    "gelu_sigmoid": (lambda x: x * sigmoid(mp.mpf(1.702) * x), 390),
    "gelu_erf": (lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, 36.3),
    "gelu_tanh": (
        lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)),
        20.8,
    ),
}


@needs_x64
@pytest.mark.parametrize("name", sorted(GATED))
def test_left_tail_has_its_digits_as_long_as_it_is_there(name):
    reference, end = GATED[name]
    points = np.random.default_rng(0).uniform(-end, -end / 3, 30)
    x = jnp.asarray(points)
    value, slope = orders(getattr(ops, name))(x)[:2]
    want = np.asarray([float(reference(mp.mpf(v))) for v in points])
    assert np.abs(want).min() < 1e-270
    np.testing.assert_allclose(value, want, rtol=3e-13)
    np.testing.assert_allclose(slope, [slope_of(reference, v) for v in points], rtol=3e-12)


def slope_of(reference, x):
    # A step of the length on which the function decays, in more digits than it loses.
    return float(mp.diff(reference, mp.mpf(x), h=mp.mpf(10) ** -25, relative=False))


@needs_x64
def test_softsign_slope_does_not_cancel():
    points = np.asarray([0.0, 0.3, -0.999, 1.0, -1.001, 1e4, -1e30, 1e150])
    slope = orders(ops.softsign)(jnp.asarray(points))[1]
    np.testing.assert_allclose(slope, (1 + np.abs(points)) ** -2.0, rtol=1e-15)
