import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64


def sample(*shape, dtype=jnp.float32, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


@pytest.mark.parametrize(
    ("x", "y", "equation"),
    [
        ((5, 2, 3), (5, 3, 4), "bik,bkj->bij"),
        ((2, 3), (3, 4), "ik,kj->ij"),
        ((2, 3), (5, 3, 4), "ik,bkj->bij"),
        ((5, 2, 3), (3, 4), "bik,kj->bij"),
        ((2, 5, 2, 3), (2, 5, 3, 4), "abik,abkj->abij"),
        ((5, 0, 3), (5, 3, 4), "bik,bkj->bij"),
        ((5, 2, 0), (5, 0, 4), "bik,bkj->bij"),
        ((0, 2, 3), (0, 3, 4), "bik,bkj->bij"),
    ],
)
def test_batched_matmul_equals_einsum(x, y, equation, dtype):
    x, y = sample(*x, dtype=dtype), sample(*y, dtype=dtype, seed=1)
    want = np.einsum(equation, np.asarray(x), np.asarray(y))
    np.testing.assert_allclose(ops.batched_matmul(x, y), want, rtol=1e-5, atol=1e-6)


def test_batch_of_one_goes_with_any_batch(dtype):
    one, many = sample(1, 2, 3, dtype=dtype), sample(5, 3, 4, dtype=dtype, seed=1)
    z = ops.batched_matmul(one, many)
    np.testing.assert_allclose(z, ops.batched_matmul(one[0], many), rtol=1e-6)
    z = ops.batched_matmul(sample(5, 1, 2, 3), sample(1, 7, 3, 4))
    assert z.shape == (5, 7, 2, 4)
    # The gradient of what is shared is the sum over the batch.
    gradient = jax.grad(lambda one: jnp.sum(ops.batched_matmul(one, many)))(one)
    np.testing.assert_allclose(gradient[0, 0], np.asarray(many).sum((0, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "axes", "equation"),
    [
        ((3, 2, 5), (4, 5, 3), (0, 2, 2, 1), "kib,jbk->bij"),
        ((5, 2, 3), (5, 4, 3), (-1, -1, 0, 0), "bik,bjk->bij"),
        ((2, 5, 3, 7), (7, 3, 5, 4), (2, 1, (3, 1), (0, 2)), "ibka,akbj->abij"),
        ((5, 2, 6, 3), (5, 3, 4), (3, 1, 0, 0), "bimk,bkj->bimj"),
        ((5, 3), (5, 3, 4), (1, 1, 0, 0), "bk,bkj->bj"),
        ((5, 3), (5, 3), (1, 1, 0, 0), "bk,bk->b"),
        ((2, 3), (4, 3), (1, 1, (), ()), "ik,jk->ij"),
    ],
)
def test_axes_can_be_chosen(x, y, axes, equation, dtype):
    x, y = sample(*x, dtype=dtype), sample(*y, dtype=dtype, seed=1)
    names = ("lhs_contracting_axis", "rhs_contracting_axis", "lhs_batching_axis")
    options = dict(zip((*names, "rhs_batching_axis"), axes, strict=True))
    want = np.einsum(equation, np.asarray(x), np.asarray(y))
    np.testing.assert_allclose(ops.batched_matmul(x, y, **options), want, rtol=1e-5, atol=1e-6)


@needs_x64
def test_batched_matmul_widens_and_keeps_its_digits():
    x, y = sample(5, 2, 3, dtype=jnp.float64), sample(5, 3, 4, dtype=jnp.float32)
    z = ops.batched_matmul(x, y)
    want = np.asarray(x) @ np.asarray(y, np.float64)
    assert z.dtype == jnp.float64
    np.testing.assert_allclose(z, want, rtol=1e-14, atol=1e-15)
    cut = ops.batched_matmul(x.astype(jnp.float32), y)
    assert np.abs(np.asarray(cut) - want).max() > 1e-9


def test_precision_is_the_highest_unless_chosen():
    x, y = sample(5, 2, 3), sample(5, 3, 4)
    assert "HIGHEST" in str(jax.make_jaxpr(ops.batched_matmul)(x, y))
    quick = lambda x, y: ops.batched_matmul(x, y, precision="default")
    assert "HIGHEST" not in str(jax.make_jaxpr(quick)(x, y))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((5, 2, 3), (5, 4, 3)),
        ((5, 2, 3), (6, 3, 4)),
        ((5, 2, 3), (5, 5, 3, 4)),
        ((2, 3), (4, 3)),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(x, y):
    with pytest.raises(ValueError, match=r"one size along the contracting axes \(\d of `x`, \d of"):
        ops.batched_matmul(sample(*x), sample(*y))


@pytest.mark.parametrize(
    "options",
    [
        {"lhs_contracting_axis": 3},
        {"lhs_batching_axis": -1},
        {"lhs_batching_axis": (0, 0)},
        {"lhs_batching_axis": 7},
    ],
)
def test_axes_that_are_not_there_or_given_twice_are_an_error(options):
    with pytest.raises(
        ValueError, match="`lhs_batching_axis` and `lhs_contracting_axis` to be diff"
    ):
        ops.batched_matmul(sample(5, 2, 3), sample(5, 3, 4), **options)
    with pytest.raises(ValueError, match=r"`rhs_contracting_axis` to be different .* \(3,\)"):
        ops.batched_matmul(sample(2, 3), sample(3))
