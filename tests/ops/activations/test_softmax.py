import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

from sciml_lux import ops
from tests.conftest import needs_x64

mp = mpmath.mp.clone()
mp.dps = 40

FAMILY = [ops.softmax, ops.logsoftmax, ops.logsumexp]
SCIPY = [scipy.special.softmax, scipy.special.log_softmax, scipy.special.logsumexp]
MASKED = -jnp.inf


def sample(dtype, *shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape) * 5, dtype)


@pytest.mark.parametrize(("op", "reference"), list(zip(FAMILY, SCIPY, strict=True)))
@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2)])
def test_softmax_family_equals_scipy(op, reference, axis, dtype):
    x = sample(dtype, 2, 3, 4)
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(
        op(x, axis=axis), reference(np.asarray(x, np.float64), axis=axis), rtol=16 * eps, atol=eps
    )


def exact(x):
    """softmax, logsoftmax and logsumexp of a list, in 40 digits."""
    x = [mp.mpf(float(v)) for v in x]
    total = mp.fsum(mp.exp(v) for v in x)
    return [mp.exp(v) / total for v in x], [v - mp.log(total) for v in x], mp.log(total)


@needs_x64
@pytest.mark.parametrize("index", range(3))
def test_softmax_family_has_its_digits_and_a_contaminated_one_has_not(index):
    x = np.random.default_rng(1).normal(size=9) * 20
    want = np.asarray(exact(x)[index], dtype=float)

    def error(x):
        return np.abs(FAMILY[index](x.astype(jnp.float64)) - want).max() / np.abs(want).max()

    assert error(jnp.asarray(x)) < 1e-14
    assert error(jnp.asarray(x, jnp.float32)) > 1e-9


JACOBIANS = {op: jax.jit(jax.jacrev(op)) for op in FAMILY}
CURVATURES = {op: jax.jit(jax.jacfwd(jax.jacrev(op))) for op in FAMILY}


def jacobian(op, row, dtype):
    return np.asarray(JACOBIANS[op](jnp.asarray(row, dtype)), float)


def curvature(op, row, dtype):
    return np.asarray(CURVATURES[op](jnp.asarray(row, dtype)), float)


def test_softmax_of_huge_inputs_has_finite_values_and_derivatives(dtype):
    largest = float(jnp.finfo(dtype).max)
    for row in ([1e4, -1e4, 0.0], [1e30, 1e30, -1e30], [largest, -largest, 0.0]):
        top = np.asarray(row) == max(row)
        x = jnp.asarray(row, dtype)
        np.testing.assert_allclose(ops.softmax(x), top / top.sum())
        np.testing.assert_allclose(ops.logsumexp(x), max(row) + np.log(top.sum()), rtol=1e-6)
        np.testing.assert_allclose(jacobian(ops.logsumexp, row, dtype), top / top.sum())
        for op in (ops.softmax, ops.logsoftmax):
            assert np.isfinite(jacobian(op, row, dtype)).all()
            assert np.isfinite(curvature(op, row, dtype)).all()


def test_masked_entries_get_nothing_and_change_nothing(dtype):
    kept, row = jnp.asarray([0.3, -1.0], dtype), [0.3, MASKED, -1.0]
    x = jnp.asarray(row, dtype)
    keep, masked = np.asarray([0, 2]), 1
    for op in (ops.softmax, ops.logsoftmax):
        np.testing.assert_allclose(op(x)[keep], op(kept), rtol=1e-6)
        np.testing.assert_allclose(
            jacobian(op, row, dtype)[keep][:, keep], jacobian(op, kept, dtype), rtol=1e-6
        )
        assert (jacobian(op, row, dtype)[keep, masked] == 0).all()
        assert np.isfinite(curvature(op, row, dtype)[keep]).all()
    assert ops.softmax(x)[masked] == 0 and ops.logsoftmax(x)[masked] == -jnp.inf
    np.testing.assert_allclose(ops.logsumexp(x), ops.logsumexp(kept), rtol=1e-6)
    np.testing.assert_allclose(jacobian(ops.logsumexp, row, dtype), ops.softmax(x), rtol=1e-6)


def test_row_that_is_masked_throughout(dtype):
    x = jnp.asarray([[MASKED] * 3, [0.0, 1.0, 2.0]], dtype)
    np.testing.assert_array_equal(ops.softmax(x)[0], [0, 0, 0])
    np.testing.assert_array_equal(ops.logsoftmax(x)[0], [-np.inf] * 3)
    assert ops.logsumexp(x)[0] == -jnp.inf
    for op in FAMILY:
        np.testing.assert_allclose(op(x)[1], op(x[1]))
        first, second = jacobian(op, x, dtype), curvature(op, x, dtype)
        for derivative in (first, second):
            assert np.isfinite(derivative).all() and (derivative[0] == 0).all()
        np.testing.assert_allclose(first[1][..., 1, :], jacobian(op, x[1], dtype), rtol=1e-6)


def test_infinite_entry_takes_all_and_is_not_a_number(dtype):
    x = jnp.asarray([0.0, jnp.inf], dtype)
    np.testing.assert_array_equal(ops.softmax(x), [0.0, np.nan])
    np.testing.assert_array_equal(ops.logsoftmax(x), [-np.inf, np.nan])
    assert ops.logsumexp(x) == jnp.inf


@pytest.mark.parametrize("op", FAMILY)
def test_nan_is_passed_on(op):
    assert jnp.isnan(op(jnp.asarray([0.0, jnp.nan], jnp.float32))).all()


@pytest.mark.parametrize("at", [jnp.float16, jnp.bfloat16])
def test_sums_of_sixteen_bits_are_taken_in_float32(at):
    # 100 000 equal entries: their sum is no float16, and bfloat16 would stop counting at 256.
    x = jnp.zeros(100_000, at)
    eps = float(jnp.finfo(at).eps)
    np.testing.assert_allclose(ops.logsumexp(x).astype(float), np.log(1e5), rtol=eps)
    np.testing.assert_allclose(ops.softmax(x)[0].astype(float), 1e-5, rtol=0.01)
    np.testing.assert_allclose(ops.logsoftmax(x)[0].astype(float), -np.log(1e5), rtol=eps)


def test_axis_is_kept_where_asked():
    x = jnp.zeros((2, 3, 4), jnp.float32)
    assert ops.logsumexp(x, axis=1).shape == (2, 4)
    assert ops.logsumexp(x, axis=1, keepdims=True).shape == (2, 1, 4)


def test_softmax_family_of_nothing():
    x = jnp.zeros((2, 0), jnp.float32)
    assert ops.softmax(x).shape == ops.logsoftmax(x).shape == (2, 0)
    np.testing.assert_array_equal(ops.logsumexp(x), [-np.inf, -np.inf])
    assert ops.softmax(x.T).shape == (0, 2)


@pytest.mark.parametrize("op", FAMILY)
@pytest.mark.parametrize("at", ["int32", "bool", "complex64"])
def test_softmax_family_is_of_floats(op, at):
    with pytest.raises(
        TypeError, match=rf"`{op.__name__}` expects `x` to be (floating|real), got {at}"
    ):
        op(jnp.ones(3, at))
