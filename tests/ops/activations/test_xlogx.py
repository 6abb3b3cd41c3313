import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from sciml_lux import ops
from tests.conftest import needs_x64

X = np.asarray([0.0, 1e-300, 0.3, 1.0, 7.0])


def derivatives(f, order, *arguments):
    """The derivative of an elementwise f by its first argument, over the entries."""
    for _ in range(order):
        f = jax.grad(f)
    return np.asarray(jax.jit(jax.vmap(f))(*arguments))


@needs_x64
def test_xlogx_and_xlogy_equal_scipy():
    y = np.asarray([3.0, 0.2, 1e-300, 5.0, 1e300])
    np.testing.assert_allclose(ops.xlogx(jnp.asarray(X)), scipy.special.xlogy(X, X), rtol=1e-15)
    want = scipy.special.xlogy(X, y)
    np.testing.assert_allclose(ops.xlogy(jnp.asarray(X), jnp.asarray(y)), want, rtol=1e-15)


def test_xlogx_at_zero_has_derivatives_zero(dtype):
    x = jnp.asarray([0.0, -0.0, 2.0], dtype)
    np.testing.assert_allclose(ops.xlogx(x), [0.0, 0.0, 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(derivatives(ops.xlogx, 1, x), [0, 0, 1 + np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(derivatives(ops.xlogx, 2, x), [0, 0, 0.5], rtol=1e-6)
    forward = jax.jit(jax.vmap(jax.jacfwd(jax.jacfwd(ops.xlogx))))(x)
    np.testing.assert_allclose(forward, [0, 0, 0.5], rtol=1e-6)


def test_xlogx_passes_nan_on_and_has_no_logarithm_below_zero(dtype):
    assert jnp.isnan(ops.xlogx(jnp.asarray([jnp.nan, -1.0], dtype))).all()


GRADIENT = jax.jit(jax.grad(ops.xlogy, (0, 1)))
HESSIAN = jax.jit(jax.hessian(ops.xlogy, (0, 1)))

# Where x is 0, the value is 0 for every one of these.
STRANGE = [0.0, -0.0, -1.0, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("y", STRANGE)
def test_xlogy_at_zero_is_zero_with_finite_derivatives_whatever_y_is(y, dtype):
    x, y = jnp.zeros((), dtype), jnp.asarray(y, dtype)
    assert ops.xlogy(x, y) == 0
    assert [float(g) for g in GRADIENT(x, y)] == [0.0, 0.0]
    assert [float(h) for row in HESSIAN(x, y) for h in row] == [0.0] * 4


def test_xlogy_at_zero_has_its_true_derivatives_where_log_y_is_finite(dtype):
    x, y = jnp.zeros((), dtype), jnp.asarray(0.25, dtype)
    by_x, by_y = GRADIENT(x, y)
    np.testing.assert_allclose([by_x, by_y], [np.log(0.25), 0.0], rtol=1e-6)
    (xx, xy), (yx, yy) = HESSIAN(x, y)
    np.testing.assert_allclose([xx, xy, yx, yy], [0.0, 4.0, 4.0, 0.0], rtol=1e-6)


def test_xlogy_elsewhere_is_what_the_logarithm_makes_of_it(dtype):
    x = jnp.asarray([jnp.nan, 1.0, 2.0, 2.0, -1.0], dtype)
    y = jnp.asarray([1.0, jnp.nan, -1.0, 0.0, 0.0], dtype)
    np.testing.assert_array_equal(ops.xlogy(x, y), [np.nan, np.nan, np.nan, -np.inf, np.inf])


def test_xlogy_takes_a_scalar_on_either_side(dtype):
    x, y = jnp.asarray([0.0, 2.0], dtype), jnp.asarray(3.0, dtype)
    np.testing.assert_allclose(ops.xlogy(x, y), [0, 2 * np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(ops.xlogy(y, x + 1), [0, 3 * np.log(3)], rtol=1e-6)


@needs_x64
def test_xlogy_widens_the_narrower_argument():
    y = jnp.asarray([0.1], jnp.float64)
    assert ops.xlogy(jnp.ones(1, jnp.float32), y).dtype == jnp.float64
    np.testing.assert_allclose(ops.xlogy(jnp.ones(1, jnp.float32), y), np.log(0.1), rtol=1e-15)


def test_xlogx_and_xlogy_answer_bad_input():
    one = jnp.ones(2, jnp.float32)
    with pytest.raises(TypeError, match="`xlogx` expects `x` to be floating, got int32"):
        ops.xlogx(jnp.ones(2, jnp.int32))
    with pytest.raises(TypeError, match="`xlogy` expects `y` to be floating, got int32"):
        ops.xlogy(one, jnp.ones(2, jnp.int32))
    with pytest.raises(ValueError, match=r"`x` and `y` of one shape, got \(2,\) and \(3,\)"):
        ops.xlogy(one, jnp.ones(3, jnp.float32))
