"""Activations against mpmath, and at inputs where the plain formulas overflow or lose digits."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import ops
from tests.catalogue import ACTIVATIONS
from tests.conftest import X64, needs_x64

mp = mpmath.mp.clone()
mp.dps = 40

SELU_SCALE = mp.mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mp.mpf("1.6732632423543772848170429916717")


def softplus(x):
    return mp.log(1 + mp.exp(x))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def clip(x, low, high):
    return min(max(x, low), high)


REFERENCES = {
    "identity": lambda x: x,
    "relu": lambda x: max(x, mp.zero),
    "relu6": lambda x: clip(x, 0, 6),
    "leakyrelu": lambda x: x if x > 0 else x * mp.mpf(0.01),
    "rrelu": lambda x: x if x > 0 else x * mp.mpf(11 / 48),
    "trelu": lambda x: x if x > 1 else mp.zero,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "celu": lambda x: x if x > 0 else mp.expm1(x),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * mp.expm1(x)),
    "sigmoid": sigmoid,
    "hardsigmoid": lambda x: clip((x + 3) / 6, 0, 1),
    "logsigmoid": lambda x: -softplus(-x),
    "softplus": softplus,
    "tanh": mp.tanh,
    "hardtanh": lambda x: clip(x, -1, 1),
    "tanhshrink": lambda x: x - mp.tanh(x),
    "softshrink": lambda x: max(x - 0.5, 0) if x > 0 else min(x + 0.5, 0),
    "softsign": lambda x: x / (1 + abs(x)),
    "swish": lambda x: x * sigmoid(x),
    "hardswish": lambda x: x * clip((x + 3) / 6, 0, 1),
    "mish": lambda x: x * mp.tanh(softplus(x)),
    "lisht": lambda x: x * mp.tanh(x),
    "logcosh": lambda x: mp.log(mp.cosh(x)),
    "gelu_erf": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3)),
    "gelu_sigmoid": lambda x: x * sigmoid(mp.mpf(1.702) * x),
}
REFERENCES["gelu"] = REFERENCES["gelu_tanh"]
REFERENCES["sigmoid_fast"] = REFERENCES["sigmoid"]
REFERENCES["tanh_fast"] = REFERENCES["tanh"]
REFERENCES["thresholdrelu"] = REFERENCES["trelu"]

# Full 53-bit inputs: dyadic ones would not show that an input was cut to float32.
POINTS = np.random.default_rng(0).uniform(-9.0, 9.0, 40)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_activation_agrees_with_mpmath(name, dtype):
    x = jnp.asarray(POINTS, dtype)
    want = np.asarray([float(REFERENCES[name](mp.mpf(float(v)))) for v in x])
    tolerance = 1e-14 if X64 else 2e-6
    np.testing.assert_allclose(getattr(ops, name)(x), want, rtol=tolerance, atol=tolerance)


@needs_x64
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_activation_derivative_agrees_with_mpmath(name):
    slopes = jax.vmap(jax.grad(getattr(ops, name)))(jnp.asarray(POINTS))
    want = [float(mp.diff(REFERENCES[name], mp.mpf(float(v)))) for v in POINTS]
    np.testing.assert_allclose(slopes, want, rtol=1e-13, atol=1e-13)


EXACT = {"identity", "relu", "trelu", "thresholdrelu"}


@needs_x64
@pytest.mark.parametrize("name", sorted(set(REFERENCES) - EXACT))
def test_activation_check_finds_a_cast_to_float32(name):
    contaminated = getattr(ops, name)(jnp.asarray(POINTS).astype(jnp.float32)).astype(jnp.float64)
    want = np.asarray([float(REFERENCES[name](mp.mpf(float(v)))) for v in POINTS])
    assert np.abs(contaminated - want).max() > 1e-9


# A float32 stage cannot be seen where the derivative is constant by pieces.
CURVED = set(REFERENCES) - {
    *("identity", "relu", "relu6", "leakyrelu", "rrelu", "trelu", "thresholdrelu"),
    *("hardtanh", "hardsigmoid", "softshrink"),
}


@needs_x64
@pytest.mark.parametrize("name", sorted(CURVED))
def test_derivative_check_finds_a_cast_to_float32(name):
    def contaminated(x):
        return getattr(ops, name)(x.astype(jnp.float32).astype(x.dtype))

    slopes = jax.vmap(jax.grad(contaminated))(jnp.asarray(POINTS))
    want = np.asarray([float(mp.diff(REFERENCES[name], mp.mpf(float(v)))) for v in POINTS])
    assert np.abs(slopes - want).max() > 1e-9


def test_every_activation_has_a_reference():
    assert {entry.name for entry in ACTIVATIONS} == set(REFERENCES)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_activation_passes_nan_on(name):
    assert jnp.isnan(getattr(ops, name)(jnp.asarray([jnp.nan], jnp.float32))).all()


SMOOTH = CURVED - {"elu", "celu", "selu", "hardswish", "softsign"}


@functools.cache
def three_derivatives(name, derivative):
    """The first three as one program."""
    first = derivative(getattr(ops, name))
    second = derivative(first)
    return jax.jit(lambda x: (first(x), second(x), derivative(second)(x)))


@needs_x64
@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_derivatives_where_branches_meet_are_those_of_the_formula(name, derivative, zero):
    taylor = mp.taylor(REFERENCES[name], 0, 3)
    want = [float(taylor[order]) * math.factorial(order) for order in (1, 2, 3)]
    found = three_derivatives(name, derivative)(jnp.asarray(zero))
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_relu_has_slope_zero_at_zero(dtype):
    assert jax.grad(ops.relu)(jnp.zeros((), dtype)) == 0


@needs_x64
def test_gelu_keeps_the_digits_of_its_left_tail():
    x = -8.0
    want = float(mp.mpf(x) * mp.erfc(mp.mpf(8) / mp.sqrt(2)) / 2)
    np.testing.assert_allclose(ops.gelu_erf(jnp.asarray(x)), want, rtol=1e-13)


@needs_x64
def test_logcosh_keeps_its_digits_near_zero():
    for x in (1e-8, -3e-4, 0.1, 0.99999, 1.00001):
        want = float(mp.log(mp.cosh(mp.mpf(x))))
        np.testing.assert_allclose(ops.logcosh(jnp.asarray(x)), want, rtol=2e-15)
        slope = jax.grad(ops.logcosh)(jnp.asarray(x))
        np.testing.assert_allclose(slope, np.tanh(x), rtol=2e-15)


def test_fast_names_are_the_exact_functions(dtype):
    x = jnp.linspace(-9, 9, 33, dtype=dtype)
    np.testing.assert_array_equal(ops.tanh_fast(x), ops.tanh(x))
    np.testing.assert_array_equal(ops.sigmoid_fast(x), ops.sigmoid(x))
    np.testing.assert_array_equal(ops.thresholdrelu(x, 2.0), ops.trelu(x, 2.0))


def test_rrelu_draws_a_slope_for_each_entry(dtype):
    x = jnp.concatenate([jnp.full(2000, -2, dtype), jnp.full(10, 3, dtype)])
    y = ops.rrelu(x, 0.1, 0.3, key=jax.random.key(0))
    np.testing.assert_array_equal(y[2000:], 3)
    slopes = np.asarray(y[:2000]) / -2
    assert 0.1 <= slopes.min() < 0.101 and 0.299 < slopes.max() <= 0.3
    np.testing.assert_allclose(slopes.mean(), 0.2, atol=0.005)
    other = ops.rrelu(x, 0.1, 0.3, key=jax.random.key(1))
    assert not jnp.array_equal(y, other)


def test_rrelu_without_a_key_has_the_mean_slope(dtype):
    np.testing.assert_allclose(ops.rrelu(jnp.asarray([-48.0, 5.0], dtype)), [-11.0, 5.0], rtol=1e-6)


def test_rrelu_with_a_key_has_the_drawn_slope_as_derivative(dtype):
    x, key = jnp.asarray([-1.0, 2.0], dtype), jax.random.key(3)
    slope = jax.grad(lambda x: jnp.sum(ops.rrelu(x, key=key)))(x)
    np.testing.assert_array_equal(slope, [-ops.rrelu(x, key=key)[0], 1.0])


def test_rrelu_needs_its_bounds_in_order():
    with pytest.raises(ValueError, match=r"`lower` of at most `upper`, got 0\.5 and 0\.25"):
        ops.rrelu(jnp.ones(2, jnp.float32), 0.5, 0.25)


# Functions of x and a setting, which gives another value at -2 than the default does.
SET = {
    "leakyrelu": ops.leakyrelu,
    "rrelu": lambda x, a: ops.rrelu(x, a, a),
    "trelu": lambda x, a: ops.trelu(x, -8 * a),
    "elu": ops.elu,
    "celu": ops.celu,
    "softshrink": ops.softshrink,
}


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("promotion", ["standard", "strict"])
def test_setting_of_any_scalar_type_means_the_same_number(name, kind, promotion):
    x = jnp.asarray([-2.0, 1.0], jnp.float32)
    with jax.numpy_dtype_promotion(promotion):
        found = SET[name](x, kind(0.375))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, SET[name](x, 0.375))
    assert found[0] != getattr(ops, name)(x)[0]


@pytest.mark.parametrize("name", ["leakyrelu", "elu", "celu", "softshrink"])
def test_setting_may_be_traced(name, dtype):
    x, a = jnp.asarray([-2.0, -1.0], dtype), jnp.asarray(0.375, dtype)
    slope = jax.jit(jax.grad(lambda a: jnp.sum(SET[name](x, a))))(a)
    step = 1e-3
    difference = SET[name](x, 0.375 + step) - SET[name](x, 0.375 - step)
    np.testing.assert_allclose(slope, jnp.sum(difference) / (2 * step), rtol=1e-3)
