import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64

from .cells import LENGTHS, Sum, check, weights

pytestmark = pytest.mark.any_precision
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def sequence(shape):
    return jax.random.normal(jax.random.key(1), shape, jnp.float32)


@needs_x64
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["", "packed"])
def test_two_layers_equal_torch_in_value_and_gradient(kind, lengths):
    cell = nn.StackedRNNCell(CELLS[kind](2, 3), CELLS[kind](3, 3))
    model = nn.Recurrence(cell, return_sequence=True, return_carry=True)

    def run(x, carry, ps):
        start = tuple(tuple(part[layer] for part in carry) for layer in range(2))
        (y, after), _ = model((x, start, lengths), ps, made(model)[1])
        return y, *(jnp.stack(parts) for parts in zip(*after, strict=True))

    def ps(case):
        return lux.Record(layer_1=weights(case, "_l0"), layer_2=weights(case, "_l1"))

    name = f"{kind}_two_layers" + ("" if lengths is None else "_packed")
    check(name, run, ps, {"layer_1": "_l0", "layer_2": "_l1"})


def test_stack_equals_a_chain_of_recurrences():
    first, second = nn.LSTMCell(2, 3, init_memory=initializers.ones), nn.GRUCell(3, 4)
    stack = nn.Recurrence(nn.StackedRNNCell(first, second), return_sequence=True)
    chain = nn.Chain(
        nn.Recurrence(first, return_sequence=True), nn.Recurrence(second, return_sequence=True)
    )
    ps, st = made(stack)
    x = sequence((4, 5, 2))
    y, new = stack(x, ps, st)
    np.testing.assert_allclose(y, chain(x, ps, st)[0], rtol=1e-5, atol=1e-6)
    assert lux.core.internal.first_difference(st, new) is None


def test_stack_of_a_stack_by_name_with_a_drawn_start():
    inner = nn.StackedRNNCell(a=nn.GRUCell(2, 3, init_state=initializers.uniform))
    model = nn.Recurrence(nn.StackedRNNCell(inner, nn.RNNCell(3, 2)))
    ps, st = made(model)
    assert list(ps.layer_1) == ["a"] and list(st.layer_1.a) == ["rng"]
    x = sequence((4, 5, 2))
    first, new = model((x, None, LENGTHS), ps, st)
    assert (model((x, None, LENGTHS), ps, new)[0] != first).all()


def test_stack_with_a_cell_that_starts_itself_starts_itself():
    model = nn.Recurrence(nn.StackedRNNCell(Sum(), nn.RNNCell(2, 3)))
    ps, st = made(model)
    x = sequence((4, 5, 2))
    y, new = model(x, ps, st)
    want, _ = nn.Recurrence(nn.RNNCell(2, 3))(jnp.cumsum(x, axis=1), ps.layer_2, st.layer_2)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    assert new.layer_1.steps == 5
    with pytest.raises(TypeError, match="got None, and `StackedRNNCell` does not define"):
        model((x, None, LENGTHS), ps, st)


def test_one_step_of_a_stack_without_batch():
    cell = nn.StackedRNNCell(nn.LSTMCell(2, 3), nn.RNNCell(3, 4))
    (y, carry), _ = cell(jnp.ones(2, jnp.float32), *made(cell))
    assert jax.tree.map(jnp.shape, (y, carry)) == ((4,), (((3,), (3,)), ((4,),)))


def test_stack_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="`StackedRNNCell` expects at least one cell, got none"):
        nn.StackedRNNCell()


def test_layer_in_a_stack_that_is_no_cell_is_an_error():
    cell = nn.StackedRNNCell(nn.RNNCell(2, 3), nn.Dense(3, 2))
    with pytest.raises(TypeError, match="`Dense` is used as a cell, which must return"):
        cell(jnp.ones(2, jnp.float32), *made(cell))


@pytest.mark.parametrize(("carry", "got"), [((), "a tuple of 0"), (np.ones(3), "float64")])
def test_carry_of_another_number_of_cells_is_an_error(carry, got):
    cell = nn.StackedRNNCell(nn.RNNCell(2, 3))
    carry = jax.tree.map(lambda a: jnp.ones(3, jnp.float32), carry)
    got = got.replace("float64", r"float32\[3\]")
    with pytest.raises(ValueError, match=f"a tuple of 1, one for each cell, got {got}"):
        cell((jnp.ones(2, jnp.float32), carry), *made(cell))
