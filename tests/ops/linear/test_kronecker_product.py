import functools

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64


def test_kronecker_product_equals_numpy_for_each_member(dtype):
    rng = np.random.default_rng(0)
    factors = [rng.integers(-4, 5, (5, n)).astype(dtype) for n in (2, 3, 4)]
    y = ops.kronecker_product(*map(jnp.asarray, factors))
    want = [functools.reduce(np.kron, rows) for rows in zip(*factors, strict=True)]
    np.testing.assert_array_equal(y, want)


def test_kronecker_product_of_one_factor_is_that_factor(dtype):
    a = jnp.asarray([1.0, 2.0], dtype)
    np.testing.assert_array_equal(ops.kronecker_product(a), a)


@needs_x64
def test_kronecker_product_is_as_wide_as_the_widest():
    a = jnp.asarray([0.1], jnp.float64)
    y = ops.kronecker_product(a, jnp.asarray([2.0], jnp.float32))
    assert y.dtype == jnp.float64 and float(y[0]) == 0.2


@pytest.mark.parametrize("shapes", [(), ((),), ((2, 3), (3, 3))])
def test_kronecker_product_of_other_leading_axes_is_an_error(shapes):
    factors = [jnp.ones(shape, jnp.float32) for shape in shapes]
    text = r"`kronecker_product` expects one or more arrays .* leading axes, got shapes \["
    with pytest.raises(ValueError, match=text):
        ops.kronecker_product(*factors)
