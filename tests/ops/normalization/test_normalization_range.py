"""Normalisations of numbers far from 0 and from 1, against NumPy's long double.

Twins, written as one would in `jax.numpy`, fail where ours hold.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from sciml_lux.ops.normalization._power_of_two import inverse_power_of_two
from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision
EPSILON = 1e-5
NORMS = {
    "layernorm": lambda x, e=EPSILON: ops.layernorm(x, None, None, axis=0, epsilon=e),
    "batchnorm": lambda x, e=EPSILON: ops.batchnorm(x, *[None] * 4, True, epsilon=e)[0],
    "instancenorm": lambda x, e=EPSILON: ops.instancenorm(x[None], *[None] * 4, True, epsilon=e)[0][
        0
    ],
    "groupnorm": lambda x, e=EPSILON: ops.groupnorm(x[None], None, None, 3, epsilon=e)[0],
    "rmsnorm": lambda x, e=EPSILON: ops.rmsnorm(x, None, 0, e),
}
CENTERED = [name for name in NORMS if name != "rmsnorm"]
LARGE = [("float32", 1e20), pytest.param("float64", 1e200, marks=needs_x64)]


def plain(x, epsilon=EPSILON):
    """The twin."""
    centered = x - jnp.mean(x, 0, keepdims=True)
    return centered * jax.lax.rsqrt(jnp.mean(centered * centered, 0, keepdims=True) + epsilon)


def exact(x, epsilon=EPSILON, center=True):
    """The standardized x and 1/√(variance + epsilon), in long double."""
    x = np.asarray(x).astype(np.longdouble)
    if center:
        x = x - x[:1]  # Else 1e6 spreads take digits of the long double, too.
        x = x - x.mean(0, keepdims=True)
    inverse = 1 / np.sqrt((x * x).mean(0, keepdims=True) + np.longdouble(epsilon))
    return x * inverse, inverse


def draw(dtype, mean=0.0, spread=1.0, shape=(40, 3), seed=0):
    return (mean + spread * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


def error(found, want):
    """The largest difference, relative to the largest entry."""
    return np.max(np.abs(np.asarray(found).astype(np.longdouble) - want)) / np.max(np.abs(want))


@pytest.mark.parametrize("name", CENTERED)
@pytest.mark.parametrize("constant", [1000.1, 1e6 + 0.3, -3e7])
def test_a_constant_gives_zero(name, constant):
    x = jnp.full((7, 3), constant, jnp.float32)
    np.testing.assert_array_equal(NORMS[name](x), jnp.zeros_like(x))


@pytest.mark.parametrize("name", CENTERED)
def test_a_large_mean_takes_no_digits_in_float32(name):
    x = draw("float32", 101325.0, 10.0)
    want, _ = exact(x)
    assert error(NORMS[name](jnp.asarray(x)), want) < 3e-7
    assert error(plain(jnp.asarray(x)), want) > 3e-5


@needs_x64
@pytest.mark.parametrize("name", CENTERED)
def test_a_mean_of_a_million_spreads_takes_no_digits_in_float64(name):
    x = draw("float64", 1e6)
    want, _ = exact(x)
    assert error(NORMS[name](jnp.asarray(x)), want) < 1e-15
    assert error(plain(jnp.asarray(x)), want) > 1e-12


@pytest.mark.parametrize("name", CENTERED)
def test_a_large_mean_takes_no_digits_of_the_derivatives(name):
    x, weights = draw("float32", 101325.0, 10.0), draw("float32", seed=1)
    found = jax.grad(lambda x: jnp.sum(weights * NORMS[name](x)))(jnp.asarray(x))
    assert error(found, gradient(x, weights)) < 1e-6


def gradient(x, weights, epsilon=EPSILON):
    """Of Σ weights z, in long double."""
    z, inverse = exact(x, epsilon)
    weights = weights.astype(np.longdouble)
    along = weights - z * (weights * z).mean(0, keepdims=True)
    return inverse * (along - weights.mean(0, keepdims=True))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CENTERED)
def test_a_large_mean_in_half_precision(name, half):
    x = jnp.asarray(draw("float32", 500.0, 4.0)).astype(half)
    want, _ = exact(np.asarray(x, np.float64))
    assert error(np.asarray(NORMS[name](x), np.float64), want) < float(jnp.finfo(half).eps)


def test_running_statistics_of_a_large_mean():
    x, one = draw("float32", 101325.0, 10.0), jnp.ones(3, jnp.float32)
    _, new = ops.batchnorm(jnp.asarray(x), None, None, one, one, True, momentum=1.0)
    x = x.astype(np.float64)
    np.testing.assert_allclose(new["running_mean"], x.mean(0), rtol=1e-7)
    np.testing.assert_allclose(new["running_var"], x.var(0, ddof=1), rtol=1e-6)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("dtype", "size"), LARGE)
def test_squares_of_large_numbers_do_not_overflow(name, dtype, size):
    x, eps = draw(dtype, 0.0, size), float(np.finfo(dtype).eps)
    want, _ = exact(x, center=name != "rmsnorm")
    assert error(NORMS[name](jnp.asarray(x)), want) < 3 * eps
    assert not plain(jnp.asarray(x)).any()
    if name != "rmsnorm":
        weights = draw(dtype, seed=1)
        found = jax.grad(lambda x: jnp.sum(weights * NORMS[name](x)))(jnp.asarray(x))
        assert error(found, gradient(x, weights)) < 5 * eps


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("size", [1e29, 1e34, 3e38])
def test_squares_that_overflow_are_nan_and_not_zero(name, size):
    x = draw("float32")
    x[:, 1:] *= np.float32(size) / np.abs(x[:, 1:]).max()
    found = NORMS[name](jnp.asarray(x))
    assert jnp.isfinite(found[:, 0]).all() and jnp.isnan(found[:, 1:]).all()
    slope = jax.grad(lambda x: jnp.sum(NORMS[name](x)))(jnp.asarray(x))
    assert jnp.isfinite(slope[:, 0]).all() and jnp.isnan(slope[:, 1:]).all()


def test_an_infinite_running_variance_is_nan_and_not_zero():
    x, statistics = jnp.asarray(draw("float32")), jnp.asarray([1.0, jnp.inf, 1.0], jnp.float32)
    found, _ = ops.batchnorm(x, None, None, jnp.zeros_like(statistics), statistics, False)
    np.testing.assert_array_equal(jnp.isnan(found).all(0), [False, True, False])


@pytest.mark.parametrize("name", NORMS)
def test_second_derivatives_of_large_numbers_are_those_of_small_ones(name):
    x, direction = draw("float32"), jnp.asarray(draw("float32", 0.5))
    unit = 2.0**60

    def along(x, direction):
        slope = jax.grad(lambda x: jnp.sum(jnp.sin(NORMS[name](x, 0.0))))
        return jax.jvp(slope, (x,), (direction,))[1]

    # The normalised x does not depend on the unit, so each derivative has its inverse.
    want = along(jnp.asarray(x), direction)
    found = along(unit * jnp.asarray(x), unit * direction)
    np.testing.assert_allclose(unit * found, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_small_numbers_without_epsilon(name):
    x = draw("float32", 0.0, 1e-24)
    want, _ = exact(x, 0.0, center=name != "rmsnorm")
    assert error(NORMS[name](jnp.asarray(x), 0.0), want) < 5e-7
    assert not np.isfinite(plain(jnp.asarray(x), 0.0)).all()


@pytest.mark.parametrize("name", NORMS)
def test_small_numbers_beside_epsilon(name):
    x = draw("float32", 0.0, 1e-24)
    want, _ = exact(x, center=name != "rmsnorm")
    assert error(NORMS[name](jnp.asarray(x)), want) < 5e-7


@pytest.mark.parametrize("name", NORMS)
def test_zeros_without_epsilon_have_finite_derivatives(name):
    zeros = jnp.zeros((4, 3), jnp.float32)
    f = lambda x: jnp.sum(jnp.sin(NORMS[name](x, 0.0)))
    slope, curvature = jax.jvp(jax.grad(f), (zeros,), (zeros + 1,))
    assert not NORMS[name](zeros, 0.0).any()
    assert jnp.isfinite(slope).all() and jnp.isfinite(curvature).all()


@pytest.mark.parametrize("size", [1e-36, 1e-24, 1.0, 1e20, 1e37])
def test_norms_and_directions_of_any_size(size):
    v = draw("float32", 0.0, size, (3, 5))
    v = np.where(np.abs(v) < 1e-37, np.float32(0.0), v)
    want = np.sqrt((v.astype(np.longdouble) ** 2).sum(1, keepdims=True))
    assert error(ops.norm_except(jnp.asarray(v), 0), want) < 3e-7
    g = jnp.ones((3, 1), jnp.float32)
    assert error(ops.weightnorm(jnp.asarray(v), g, 0), v / want) < 3e-7
    if size > 1e-30:
        slope = jax.grad(lambda v: jnp.sum(ops.norm_except(v, 0)))(jnp.asarray(v))
        assert error(slope, v / want) < 3e-7


def test_weightnorm_of_large_and_small_has_the_derivatives_of_ordinary_numbers():
    v, g = jnp.asarray(draw("float32", 0.0, 1.0, (3, 5))), jnp.ones((3, 1), jnp.float32)

    def along(v, direction):
        slope = jax.grad(lambda v: jnp.sum(jnp.sin(ops.weightnorm(v, g, 0))))
        return slope(v), jax.jvp(slope, (v,), (direction,))[1]

    for unit in (2.0**60, 2.0**-60):
        for found, want in zip(along(unit * v, unit * v + unit), along(v, v + 1), strict=True):
            np.testing.assert_allclose(unit * found, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-38, 1.2e-38, 0.3, 1.0, 1.999, 2.0, 3e38, np.inf, np.nan])
def test_inverse_power_of_two(size):
    size = jnp.asarray(size, jnp.float32)
    power = float(inverse_power_of_two(size))
    mantissa, _ = np.frexp(power)
    if size < jnp.finfo(jnp.float32).tiny:
        assert power == 1.0
    elif jnp.isfinite(size):
        assert mantissa == 0.5 and 2 <= float(size) * power < 4
    assert not jax.grad(inverse_power_of_two)(size)
