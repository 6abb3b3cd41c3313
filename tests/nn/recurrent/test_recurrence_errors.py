import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision
X = np.ones((4, 5, 2), np.float32)


def call(model, x):
    return model(x, *lux.setup(jax.random.key(0), model))


class Broken(lux.Layer):
    """A cell of which one part is wrong."""

    fault: str

    def initial_states(self, key, dtype):
        return lux.Record(last=jnp.zeros((), dtype))

    def __call__(self, x, ps, st):
        x, carry = x if isinstance(x, tuple) else (x, jnp.zeros_like(x))
        if self.fault == "shape":
            carry = jnp.concatenate([carry, carry])
        if self.fault == "structure":
            carry = (carry,)
        if self.fault == "dtype":
            carry = carry.astype(jnp.float16)
        if self.fault == "state":
            st = st | {"more": x}
        if self.fault == "batch":
            carry = jnp.ones(3, x.dtype)
        return (x, carry), st


@pytest.mark.parametrize("shape", [(2,), (4, 0, 2), ()])
def test_input_without_time_is_an_error(shape):
    text = r"`Recurrence` expects `x` to be \(\.\.\., time, features\) with at least one time step"
    with pytest.raises(ValueError, match=text):
        call(nn.Recurrence(nn.RNNCell(2, 3)), jnp.ones(shape, jnp.float32))


def test_time_major_input_without_time_is_an_error():
    with pytest.raises(ValueError, match=r"to be \(time, \.\.\., features\) .* got shape \(0, 4"):
        call(nn.Recurrence(nn.RNNCell(2, 3), time_major=True), jnp.ones((0, 4, 2), jnp.float32))


def test_wrong_feature_size_is_named_by_the_cell():
    text = r"`LSTMCell` \(at `layer_1`\) expects the last axis of `x` to be 3 .*got shape \(4, 2\)"
    with pytest.raises(ValueError, match=text):
        call(nn.Chain(nn.Recurrence(nn.LSTMCell(3, 2))), X)


def test_wrong_carry_is_named_by_the_cell():
    carry = (jnp.zeros((5, 3), jnp.float32),)
    text = r"`hidden_state` in the carry to be of shape \(4, 3\) for .*, got float32\[5,3\]"
    with pytest.raises(ValueError, match=text):
        call(nn.Recurrence(nn.GRUCell(2, 3)), (X, carry))


def test_list_of_steps_and_longer_tuples_are_an_error():
    model = nn.Recurrence(nn.RNNCell(2, 3))
    with pytest.raises(TypeError, match=r"`x` to be an array, got list\. Stack time steps: jnp"):
        call(model, [X[:, 0], X[:, 1]])
    with pytest.raises(ValueError, match=r"or \(x, carry, lengths\), got a tuple of 4\. Stack"):
        call(model, (X[:, 0],) * 4)


@pytest.mark.parametrize(("lengths", "got"), [(jnp.ones(4, jnp.float32), "float32"), ([1], "list")])
def test_lengths_that_are_no_integers_are_an_error(lengths, got):
    with pytest.raises(TypeError, match=f"`lengths` to be an array of integers, got {got}"):
        call(nn.Recurrence(nn.RNNCell(2, 3)), (X, None, lengths))


@pytest.mark.parametrize("shape", [(), (5,), (4, 1)])
def test_lengths_of_another_shape_are_an_error(shape):
    text = r"expects `lengths` to be of shape \(4,\), one for each .* \(4, 5, 2\), got shape \("
    with pytest.raises(ValueError, match=text):
        call(nn.Recurrence(nn.RNNCell(2, 3)), (X, None, jnp.ones(shape, jnp.int32)))


@pytest.mark.parametrize("cell", [nn.tanh, None, nn.LSTMCell])
def test_cell_that_is_no_layer_is_an_error(cell):
    with pytest.raises(TypeError, match=r"`Recurrence` expects `cell` to be a layer such as"):
        nn.Recurrence(cell)


def test_layer_that_is_no_cell_is_an_error():
    text = r"`Dense` is used as a cell, which must return \(\(y, carry\), st\), got \(y, st\) "
    with pytest.raises(TypeError, match=text):
        call(nn.Recurrence(nn.Dense(2, 2)), X)


@pytest.mark.parametrize("unroll", [0, -1, 2.0, "all"])
def test_unroll_that_is_no_count_is_an_error(unroll):
    error = ValueError if isinstance(unroll, int) else TypeError
    with pytest.raises(error, match="`unroll` to be an integer of at least 1, got"):
        nn.Recurrence(nn.RNNCell(2, 3), unroll=unroll)


@pytest.mark.parametrize("fault", ["shape", "structure"])
def test_cell_that_changes_its_carry_is_an_error(fault):
    text = r"expects `Broken` to return a carry like the one it gets, got another \(at `1"
    with pytest.raises(ValueError, match=text):
        call(nn.Recurrence(Broken(fault)), X)


def test_carry_that_is_no_array_is_an_error():
    with pytest.raises(ValueError, match=r"gets, got another \(at `1`: expected \(\), got 0\.0"):
        call(nn.Recurrence(Broken("none")), (X, 0.0))


def test_cell_that_narrows_its_carry_is_an_error():
    text = "expects `Broken` to return a carry as wide as the one it gets, float32, got float16"
    with pytest.raises(TypeError, match=text):
        call(nn.Recurrence(Broken("dtype")), (X, jnp.ones((4, 2), jnp.float32)))


def test_cell_that_changes_its_state_is_an_error():
    text = r"`Broken` returned a state unlike the one it got, at `more`: expected nothing, got flo"
    with pytest.raises(lux.StateStructureError, match=text):
        call(nn.Recurrence(Broken("state")), X)


def test_carry_without_batch_axes_cannot_be_padded():
    text = r"`Recurrence` with `lengths` expects .*batch axes \(4,\), got shape \(3,\)"
    with pytest.raises(ValueError, match=text):
        carry = jnp.ones(3, jnp.float32)
        call(nn.Recurrence(Broken("batch")), (X, carry, jnp.ones(4, jnp.int32)))
