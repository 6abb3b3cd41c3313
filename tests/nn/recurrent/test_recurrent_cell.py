import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from sciml_lux.nn.recurrent._recurrent_cell import RecurrentCell
from tests.conftest import needs_x64

from .cells import check, weights

any_precision = pytest.mark.any_precision

CELLS = [nn.RNNCell(2, 3), nn.LSTMCell(2, 3), nn.GRUCell(2, 3)]
X = np.asarray([[1.0, -2.0], [0.5, 3.0], [0.1, 0.2], [2.0, 1.0]], np.float32)


def made(layer, dtype=jnp.float32, seed=0):
    return lux.setup(jax.random.key(seed), layer, dtype=dtype)


def test_rnn_cell_computes_its_formula(dtype):
    ps = lux.Record(
        weight_ih=jnp.asarray([[1.0, 2.0]], dtype),
        weight_hh=jnp.asarray([[-1.0]], dtype),
        bias_ih=jnp.asarray([0.5], dtype),
        bias_hh=jnp.asarray([0.25], dtype),
    )
    x, h = jnp.asarray([1.0, -0.5], dtype), jnp.asarray([2.0], dtype)
    (y, carry), _ = nn.RNNCell(2, 1, nn.identity)((x, (h,)), ps, lux.Record())
    assert y.tolist() == carry[0].tolist() == [-1.25]


@needs_x64
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_one_step_equals_torch_in_value_and_gradient(cell):
    def run(x, carry, ps):
        (_, after), _ = cell((x, carry), ps, lux.Record())
        return after

    check(f"{type(cell).__name__[:-4].lower()}_cell", run, weights, {"": ""})


@needs_x64
def test_one_step_in_float32_would_miss_torch():
    def run(x, carry, ps):
        (_, after), _ = CELLS[1](precision.f32((x, carry)), precision.f32(ps), lux.Record())
        return precision.f64(after)

    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check("lstm_cell", run, weights, {"": ""})


@any_precision
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_cell_takes_an_unbatched_input_and_any_leading_axes(cell, dtype):
    ps, st = made(cell, dtype)
    x = jnp.asarray(np.stack([X, X + 1]), dtype)
    (y, carry), _ = cell(x, ps, st)
    (row, row_carry), _ = cell(x[1, 2], ps, st)
    assert y.shape == (2, 4, 3) and row.shape == (3,)
    np.testing.assert_allclose(y[1, 2], row, rtol=1e-6)
    for whole, part in zip(carry, row_carry, strict=True):
        np.testing.assert_allclose(whole[1, 2], part, rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_cell_starts_from_zeros_and_with_none_for_a_carry(cell):
    ps, st = made(cell)
    (y, carry), _ = cell(X, ps, st)
    zeros = tuple(jnp.zeros_like(part) for part in carry)
    np.testing.assert_array_equal(cell((X, zeros), ps, st)[0][0], y)
    np.testing.assert_array_equal(cell((X, None), ps, st)[0][0], y)
    assert st == lux.Record() or len(st) == 0


@any_precision
@pytest.mark.parametrize("cell", [type(cell)(3, 64) for cell in CELLS], ids=repr)
def test_all_parameters_start_uniform_within_one_over_root_of_out_dims(cell):
    ps, _ = made(cell)
    for name, array in ps.items():
        bound = 1 / 8
        assert 0.9 * bound < jnp.abs(array).max() <= bound, name
        # U(±b) has the standard deviation b/√3; Lux's code draws a normal with another.
        assert abs(float(array.std()) / (bound / 3**0.5) - 1) < 0.15, name
    gates = ps.weight_hh.reshape(-1, 64, 64)
    assert len({float(gate[0, 0]) for gate in gates}) == cell.num_gates
    assert (ps.bias_ih != ps.bias_hh).all()


@any_precision
def test_initialisers_are_taken_for_all_gates_or_for_each():
    ones, zeros = initializers.ones, initializers.zeros
    cell = nn.LSTMCell(
        2, 3, init_weight=ones, init_recurrent_weight=(zeros, ones, zeros, None), init_bias=zeros
    )
    ps, _ = made(cell)
    assert (ps.weight_ih == 1).all() and (ps.bias_ih == 0).all() and (ps.bias_hh == 0).all()
    gates = ps.weight_hh.reshape(4, 3, 3)
    assert (gates[1] == 1).all() and (gates[jnp.asarray([0, 2])] == 0).all()
    assert 0 < jnp.abs(gates[3]).max() <= 3**-0.5


@pytest.mark.parametrize("cell", [type(c)(2, 3, use_bias=False) for c in CELLS], ids=repr)
def test_cell_without_bias_has_two_weights(cell):
    ps, st = made(cell)
    assert list(ps) == ["weight_ih", "weight_hh"]
    assert cell(X, ps, st)[0][0].shape == (4, 3)


@any_precision
def test_trained_start_lies_in_the_parameters_and_is_used():
    cell = nn.LSTMCell(2, 3, train_state=True, train_memory=True, init_memory=initializers.ones)
    ps, st = made(cell)
    assert list(ps)[4:] == ["hidden_state", "memory"]
    assert (ps.hidden_state == 0).all() and (ps.memory == 1).all() and ps.memory.shape == (3,)
    ps = ps | {"hidden_state": jnp.asarray([1.0, 2.0, 3.0], jnp.float32)}
    start = tuple(jnp.tile(ps[name], (4, 1)) for name in ("hidden_state", "memory"))
    np.testing.assert_array_equal(cell(X, ps, st)[0][0], cell((X, start), ps, st)[0][0])
    grads = jax.grad(lambda ps: cell(X, ps, st)[0][0].sum())(ps)
    assert (grads.hidden_state != 0).all() and (grads.memory != 0).all()


def test_untrained_start_is_the_one_that_was_asked_for():
    # Lux looks at init_memory only if the memory is trained.
    cell = nn.LSTMCell(2, 3, init_memory=initializers.ones)
    ps, st = made(cell)
    start = (jnp.zeros((4, 3), jnp.float32), jnp.ones((4, 3), jnp.float32))
    np.testing.assert_array_equal(cell(X, ps, st)[0][0], cell((X, start), ps, st)[0][0])
    assert len(ps) == 4 and len(st) == 0


def test_drawn_start_is_another_at_each_call_and_the_key_is_handed_on(dtype):
    cell = nn.GRUCell(2, 3, init_state=initializers.uniform)
    ps, st = made(cell, dtype)
    x = jnp.asarray(X, dtype)
    (first, _), new = cell(x, ps, st)
    (second, _), _ = cell(x, ps, new)
    assert (first != second).all() and first.dtype == dtype
    np.testing.assert_array_equal(cell(x, ps, st)[0][0], first)
    given = (jnp.zeros((4, 3), dtype),)
    assert cell((x, given), ps, st)[1] is st


def test_memory_and_state_are_drawn_apart():
    cell = nn.LSTMCell(2, 3, init_state=initializers.uniform, init_memory=initializers.uniform)
    ps, st = made(cell)
    (hidden, memory), _ = cell.initial_carry(jnp.asarray(X), ps, st)
    assert (hidden != memory).all()


@needs_x64
@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("wide", ["x", "carry", "ps"])
def test_cell_of_mixed_dtypes_is_as_wide_as_the_widest(cell, wide):
    ps, st = made(cell, "float64" if wide == "ps" else "float32")
    x = jnp.asarray(X, "float64" if wide == "x" else "float32")
    part = jnp.ones((4, 3), "float64" if wide == "carry" else "float32")
    (y, carry), _ = cell((x, (part,) * len(cell._starts())), ps, st)
    assert {a.dtype.name for a in (y, *carry)} == {"float64"}


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_cell_stays_finite_at_huge_inputs(cell, dtype):
    ps, st = made(cell, dtype)
    x = jnp.asarray([[1e30, -1e30]], dtype)
    loss = lambda x, ps: cell(x, ps, st)[0][0].sum()
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(jax.grad(loss, (0, 1))(x, ps)))


@any_precision
@pytest.mark.parametrize("dims", [(0, 3), (2, 0)])
def test_cell_of_zero_width_is_allowed(dims):
    cell = nn.GRUCell(*dims)
    ps, st = made(cell)
    assert cell(jnp.ones((4, dims[0]), jnp.float32), ps, st)[0][0].shape == (4, dims[1])


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_wrong_feature_size_names_cell_size_and_shape(cell):
    text = r"Cell` expects the last axis of `x` to be 2 \(`in_dims`\), got shape \(4, 3\)\. Pass"
    with pytest.raises(ValueError, match=text):
        cell(jnp.ones((4, 3), jnp.float32), *made(cell))


def test_input_that_is_no_array_or_no_pair_is_an_error():
    cell, trees = CELLS[0], made(CELLS[0])
    with pytest.raises(TypeError, match="`RNNCell` expects `x` to be an array, got str"):
        cell("x", *trees)
    with pytest.raises(ValueError, match=r"or the pair \(x, carry\), got a tuple of 3"):
        cell((X, X, X), *trees)


def test_carry_of_another_form_is_an_error():
    cell, trees = CELLS[1], made(CELLS[1])
    h = jnp.zeros((4, 3), jnp.float32)
    text = r"to be a tuple of 2 \(hidden_state, memory\), got float32\[4,3\]\. Pass \(x, carry\)"
    with pytest.raises(TypeError, match=text):
        cell((X, h), *trees)
    with pytest.raises(TypeError, match=r"memory\), got a tuple of 1\. Pass"):
        cell((X, (h,)), *trees)
    text = r"expects `memory` in the carry to be of shape \(4, 3\) for `x` of .*, got float32\[3\]"
    with pytest.raises(ValueError, match=text):
        cell((X, (h, h[0])), *trees)


def test_parameters_of_another_cell_are_an_error():
    with pytest.raises(ValueError, match=r"`weight_ih` to be of shape \(9, 2\), got \(12, 2\)"):
        CELLS[2](X, *made(CELLS[1]))
    ps, st = made(CELLS[0])
    with pytest.raises(ValueError, match=r"`weight_hh` to be of shape \(3, 3\), got \(3, 4\)"):
        CELLS[0](X, ps | {"weight_hh": jnp.ones((3, 4), jnp.float32)}, st)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_sizes_and_initialisers_are_checked(cell):
    with pytest.raises(
        TypeError, match="Cell` expects `out_dims` to be an integer of at least 0, got 2.5"
    ):
        cell(2, 2.5)
    with pytest.raises(
        ValueError, match="Cell` expects `in_dims` to be an integer of at least 0, got -1"
    ):
        cell(-1, 2)
    two = (initializers.zeros,) * 2
    with pytest.raises(ValueError, match="`init_bias` to be one initialiser or a tuple of"):
        cell(2, 3, init_bias=two)


def test_activation_that_is_no_function_is_an_error():
    with pytest.raises(TypeError, match="`RNNCell` expects `activation` to be a function such as"):
        nn.RNNCell(2, 3, "tanh")


def test_base_of_cells_has_no_step():
    with pytest.raises(TypeError, match="`RecurrentCell` defines no `_step`. Write `def _step"):
        RecurrentCell(2, 3)(X, *made(RecurrentCell(2, 3)))
