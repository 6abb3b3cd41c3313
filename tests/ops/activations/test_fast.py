import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64


def test_bias_is_added_along_the_last_axis(dtype):
    x, bias = np.random.default_rng(0).normal(size=(2, 4, 3)), np.asarray([1.0, -2.0, 0.5])
    y = ops.bias_activation(ops.tanh, jnp.asarray(x, dtype), jnp.asarray(bias, dtype))
    np.testing.assert_allclose(y, np.tanh(x + bias), rtol=1e-5)


def test_bias_of_a_vector_and_no_bias(dtype):
    x = jnp.asarray([-1.0, 2.0], dtype)
    np.testing.assert_array_equal(ops.bias_activation(ops.relu, x, x), [0.0, 4.0])
    np.testing.assert_array_equal(ops.bias_activation(ops.relu, x), [0.0, 2.0])
    np.testing.assert_array_equal(ops.fast_activation(ops.relu, x), [0.0, 2.0])


@needs_x64
def test_bias_activation_widens_the_narrower_argument():
    x, bias = jnp.asarray([0.1], jnp.float64), jnp.zeros(1, jnp.float32)
    y = ops.bias_activation(ops.identity, x, bias)
    assert y.dtype == jnp.float64 and y[0] == 0.1


@needs_x64
def test_fast_activation_is_exact():
    x = jnp.asarray(np.random.default_rng(0).normal(size=20))
    np.testing.assert_array_equal(ops.fast_activation(ops.tanh_fast, x), jnp.tanh(x))
    np.testing.assert_allclose(ops.fast_activation(ops.tanh_fast, x), np.tanh(x), rtol=4e-16)


@pytest.mark.parametrize(("x", "bias"), [((2, 3), (2,)), ((2, 3), (1,)), ((), ()), ((3,), (3, 1))])
def test_bias_of_another_length_is_an_error(x, bias):
    with pytest.raises(ValueError, match=r"`bias` to be as long as the last axis of `x`, got \("):
        ops.bias_activation(ops.relu, jnp.ones(x, jnp.float32), jnp.ones(bias, jnp.float32))


def test_activation_that_changes_the_shape_is_an_error():
    with pytest.raises(ValueError, match=r"act on each entry, .* turns shape \(3,\) into \(\)"):
        ops.fast_activation(jnp.sum, jnp.ones(3, jnp.float32))
