import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import nn, setup
from sciml_lux.initializers import identity_init, zeros

KEY = jax.random.key(0)
F32 = jnp.dtype(jnp.float32)


def test_identity_matrix_with_gain_whatever_its_shape():
    np.testing.assert_array_equal(identity_init(KEY, (3, 3), F32), np.eye(3))
    np.testing.assert_array_equal(identity_init(gain=2.5)(KEY, (2, 3), F32), 2.5 * np.eye(2, 3))
    np.testing.assert_array_equal(identity_init(KEY, (3, 2), F32), np.eye(3, 2))


def test_identity_bias_is_zero():
    np.testing.assert_array_equal(identity_init(KEY, (3,), F32), np.zeros(3))


def test_identity_shift_moves_outputs_circularly():
    weight = identity_init(shift=1)(KEY, (3, 3), F32)
    np.testing.assert_array_equal(weight, np.roll(np.eye(3), 1, axis=0))
    weight = identity_init(shift=(0, -1))(KEY, (2, 3), F32)
    np.testing.assert_array_equal(weight, np.roll(np.eye(2, 3), -1, axis=1))


@pytest.mark.parametrize(("size", "centre"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_identity_kernel_is_its_centre_tap(size, centre):
    weight = identity_init(KEY, (3, 2, size, 5), F32)
    want = np.zeros((3, 2, size, 5))
    want[[0, 1], [0, 1], centre, 2] = 1
    np.testing.assert_array_equal(weight, want)


def test_identity_kernel_of_odd_size_returns_its_input():
    weight = identity_init(KEY, (2, 2, 3, 3), F32)
    x = jax.random.normal(KEY, (1, 2, 5, 4), F32)
    np.testing.assert_array_equal(jax.lax.conv(x, weight, (1, 1), "SAME"), x)


def test_identity_kernel_can_be_shifted_along_each_axis():
    weight = identity_init(shift=(0, 0, 1))(KEY, (2, 2, 3), F32)
    np.testing.assert_array_equal(np.nonzero(weight)[2], [2, 2])


def test_dense_starts_as_the_identity():
    layer = nn.Dense(3, 3, init_weight=identity_init, init_bias=zeros)
    x = jnp.asarray([1.0, -2.0, 0.5], jnp.float32)
    np.testing.assert_array_equal(layer(x, *setup(0, layer))[0], x)


def test_identity_shift_of_another_length_is_an_error():
    with pytest.raises(ValueError, match=r"a number or one for each axis of \(2, 2\)"):
        identity_init(shift=(1, 0, 0))(KEY, (2, 2), F32)
