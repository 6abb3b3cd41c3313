import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64

from .cells import LENGTHS, check, weights

pytestmark = pytest.mark.any_precision
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def sequence(shape, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), shape, dtype)


@needs_x64
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["", "packed"])
def test_both_directions_equal_torch_in_value_and_gradient(kind, lengths):
    model = nn.BidirectionalRNN(CELLS[kind](2, 3), return_carry=True)

    def run(x, carry, ps):
        start = tuple(tuple(part[way] for part in carry) for way in range(2))
        (y, after), _ = model((x, start, lengths), ps, made(model)[1])
        return y, *(jnp.stack(parts) for parts in zip(*after, strict=True))

    def ps(case):
        backward = weights(case, "_l0_reverse")
        return lux.Record(forward_rnn=weights(case, "_l0"), backward_rnn=backward)

    name = f"{kind}_bidirectional" + ("" if lengths is None else "_packed")
    check(name, run, ps, {"forward_rnn": "_l0", "backward_rnn": "_l0_reverse"})


def test_backward_is_the_reverse_of_the_reversed_valid_part():
    cell = nn.GRUCell(2, 3)
    model = nn.BidirectionalRNN(cell, merge=None)
    ps, st = made(model)
    x = sequence((4, 5, 2))
    (_, backward), _ = model((x, None, LENGTHS), ps, st)
    turn, run = nn.ReverseSequence(), nn.Recurrence(cell, return_sequence=True)
    turned, _ = turn((x, LENGTHS), lux.Record(), lux.Record())
    ys, _ = run((turned, None, LENGTHS), ps.backward_rnn, st.backward_rnn)
    want, _ = turn((ys, LENGTHS), lux.Record(), lux.Record())
    np.testing.assert_allclose(backward, want, rtol=1e-5, atol=1e-6)


def test_directions_have_parameters_of_their_own():
    ps, _ = made(nn.BidirectionalRNN(nn.LSTMCell(2, 3)))
    assert list(ps) == ["forward_rnn", "backward_rnn"]
    assert (ps.forward_rnn.weight_ih != ps.backward_rnn.weight_ih).all()


def test_another_cell_may_go_backward():
    model = nn.BidirectionalRNN(nn.LSTMCell(2, 3), nn.GRUCell(2, 4))
    ps, st = made(model)
    assert model(sequence((4, 5, 2)), ps, st)[0].shape == (4, 5, 7)
    assert ps.backward_rnn.weight_hh.shape == (12, 4)


def test_merge_is_a_function_of_both_or_none():
    cell = nn.GRUCell(2, 3)
    x = sequence((4, 5, 2))
    ps, st = made(nn.BidirectionalRNN(cell))
    forward, backward = nn.BidirectionalRNN(cell, merge=None)(x, ps, st)[0]
    added, _ = nn.BidirectionalRNN(cell, merge=operator.add)(x, ps, st)
    np.testing.assert_array_equal(added, forward + backward)
    joined, _ = nn.BidirectionalRNN(cell)(x, ps, st)
    np.testing.assert_array_equal(joined, np.concatenate([forward, backward], -1))


def test_last_outputs_are_those_of_either_end():
    cell = nn.GRUCell(2, 3)
    x = sequence((4, 5, 2))
    whole = nn.BidirectionalRNN(cell)
    ps, st = made(whole)
    y, _ = whole((x, None, LENGTHS), ps, st)
    last, _ = nn.BidirectionalRNN(cell, return_sequence=False)((x, None, LENGTHS), ps, st)
    rows = np.arange(4)
    y = np.asarray(y)  # Another program, which may round otherwise.
    np.testing.assert_allclose(last[:, :3], y[rows, np.asarray(LENGTHS) - 1, :3], rtol=1e-6)
    np.testing.assert_allclose(last[:, 3:], y[:, 0, 3:], rtol=1e-6)


def test_time_major_and_carries_are_passed_on():
    cell = nn.LSTMCell(2, 3)
    x = sequence((4, 5, 2))
    ps, st = made(nn.BidirectionalRNN(cell))
    (y, carry), _ = nn.BidirectionalRNN(cell, return_carry=True)(x, ps, st)
    zeros = jax.tree.map(jnp.zeros_like, carry)
    major = nn.BidirectionalRNN(cell, time_major=True, checkpoint=True, unroll=2)
    turned, _ = major((jnp.swapaxes(x, 0, 1), zeros), ps, st)
    np.testing.assert_allclose(jnp.swapaxes(turned, 0, 1), y, rtol=1e-5, atol=1e-6)


def test_bad_carry_merge_and_cell_are_errors():
    model = nn.BidirectionalRNN(nn.RNNCell(2, 3))
    x, h = sequence((4, 5, 2)), jnp.zeros((4, 3), jnp.float32)
    text = r"`BidirectionalRNN` expects the carry to be a pair \(forward, backward\), got a tuple"
    with pytest.raises(ValueError, match=text):
        model((x, (h,)), *made(model))
    with pytest.raises(TypeError, match="`merge` to be a function of two arrays or None, got 'c"):
        nn.BidirectionalRNN(nn.RNNCell(2, 3), merge="concat")
    with pytest.raises(TypeError, match="`Recurrence` expects `cell` to be a layer"):
        nn.BidirectionalRNN(nn.tanh)
    text = r"`Recurrence` \(at `forward_rnn`\) expects `x` to be \(\.\.\., time, features\)"
    with pytest.raises(ValueError, match=text):
        model(x[0, 0], *made(model))
    with pytest.raises(ValueError, match=r"expects `lengths` to be of shape \(4,\)"):
        model((x, None, LENGTHS[:2]), *made(model))
