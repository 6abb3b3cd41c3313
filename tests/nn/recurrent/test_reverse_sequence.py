import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn

pytestmark = pytest.mark.any_precision
X = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def call(layer, x):
    return layer(x, Record(), Record())[0]


def test_reverse_sequence_turns_time_by_default_and_any_axis_by_name():
    np.testing.assert_array_equal(call(nn.ReverseSequence(), X), X[:, ::-1])
    np.testing.assert_array_equal(call(nn.ReverseSequence(), X[0]), X[0, ::-1])
    np.testing.assert_array_equal(call(nn.ReverseSequence(axis=-1), X[0, 0]), X[0, 0, ::-1])


def test_reverse_sequence_respects_lengths():
    y = call(nn.ReverseSequence(), (X, jnp.asarray([3, 1])))
    np.testing.assert_array_equal(y, np.stack([X[0, [2, 1, 0, 3]], X[1]]))


def test_reverse_sequence_of_something_else_is_an_error():
    with pytest.raises(ValueError, match=r"`ReverseSequence` expects .*axis -2 .*shape \(3,\)"):
        call(nn.ReverseSequence(), X[0, 0])
    with pytest.raises(ValueError, match=r"or the pair \(x, lengths\), got a tuple of 3"):
        call(nn.ReverseSequence(), (X, X, X))
