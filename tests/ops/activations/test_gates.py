import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops


def test_multigate_cuts_the_last_axis_in_order():
    x = jnp.arange(12, dtype=jnp.int32).reshape(2, 6)
    first, second, third = ops.multigate(x, 3)
    np.testing.assert_array_equal(first, [[0, 1], [6, 7]])
    np.testing.assert_array_equal(second, [[2, 3], [8, 9]])
    np.testing.assert_array_equal(third, [[4, 5], [10, 11]])
    assert len(ops.multigate(x[0], 6)) == 6


@pytest.mark.parametrize(("shape", "num_gates"), [((2, 5), 2), ((), 1), ((4,), 0), ((4,), -2)])
def test_multigate_of_unequal_parts_is_an_error(shape, num_gates):
    with pytest.raises(ValueError, match=r"`multigate` expects the last axis of `x` to be a mul"):
        ops.multigate(jnp.ones(shape, jnp.float32), num_gates)


@pytest.mark.parametrize("axis", [-1, 0])
def test_glu_gates_the_first_half_by_the_second(axis, dtype):
    a, b = np.random.default_rng(0).normal(size=(2, 2, 3))
    x = jnp.asarray(np.concatenate([a, b], axis), dtype)
    np.testing.assert_allclose(ops.glu(x, axis=axis), a / (1 + np.exp(-b)), rtol=1e-5)


@pytest.mark.parametrize(("shape", "axis"), [((2, 3), -1), ((3, 2), 0), ((4,), 1), ((), -1)])
def test_glu_of_an_odd_size_is_an_error(shape, axis):
    with pytest.raises(ValueError, match=rf"`glu` expects an even size along `axis` {axis}"):
        ops.glu(jnp.ones(shape, jnp.float32), axis=axis)
