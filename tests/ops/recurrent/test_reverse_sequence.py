import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64

X = jnp.arange(24, dtype=jnp.float32).reshape(2, 4, 3)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_reverse_sequence_flips_the_axis(axis):
    np.testing.assert_array_equal(ops.reverse_sequence(X, axis=axis), np.flip(X, axis))


def test_reverse_sequence_turns_each_over_its_length_and_leaves_padding():
    y = ops.reverse_sequence(X, jnp.asarray([3, 0]))
    np.testing.assert_array_equal(y[0], np.asarray(X)[0, [2, 1, 0, 3]])
    np.testing.assert_array_equal(y[1], X[1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_reverse_sequence_takes_lengths_of_any_integer_dtype(dtype):
    x = jnp.arange(300, dtype=jnp.float32)[None]
    y = ops.reverse_sequence(x, jnp.asarray([100], dtype), axis=1)
    np.testing.assert_array_equal(y[0, :100], np.arange(99, -1, -1))
    np.testing.assert_array_equal(y[0, 100:], np.arange(100, 300))


def test_reverse_sequence_length_above_the_axis_counts_as_all_and_below_zero_as_none():
    y = ops.reverse_sequence(X, jnp.asarray([9, -2]))
    np.testing.assert_array_equal(y, np.stack([X[0, ::-1], X[1]]))


@pytest.mark.parametrize("module", [np, pytest.param(jnp, marks=needs_x64)])
def test_reverse_sequence_length_too_long_for_int32_counts_as_all(module):
    y = ops.reverse_sequence(X, module.asarray([2**32 + 1, -(2**32) + 2], "int64"))
    np.testing.assert_array_equal(y, np.stack([X[0, ::-1], X[1]]))


def test_reverse_sequence_twice_is_the_identity_and_its_own_transpose():
    lengths = jnp.asarray([3, 2])
    turn = lambda x: ops.reverse_sequence(x, lengths)
    np.testing.assert_array_equal(turn(turn(X)), X)
    _, pull = jax.vjp(turn, X)
    np.testing.assert_array_equal(pull(X)[0], turn(X))


@pytest.mark.parametrize(("axis", "shape"), [(-2, (3,)), (1, (3,)), (0, ())])
def test_reverse_sequence_without_the_axis_is_an_error(axis, shape):
    with pytest.raises(
        ValueError, match=rf"to have the axis {axis}, got shape {re.escape(str(shape))}"
    ):
        ops.reverse_sequence(jnp.ones(shape, jnp.float32), axis=axis)


def test_reverse_sequence_of_wrong_lengths_is_an_error():
    with pytest.raises(TypeError, match="expects `lengths` to be integers, got float32"):
        ops.reverse_sequence(X, jnp.ones(2, jnp.float32))
    with pytest.raises(ValueError, match=r"before time, \(2,\), got shape \(3,\)"):
        ops.reverse_sequence(X, jnp.ones(3, jnp.int32))
