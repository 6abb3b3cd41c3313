import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from tests.conftest import needs_x64

from .cells import LENGTHS, Sum, check, weights

any_precision = pytest.mark.any_precision

CELLS = [nn.RNNCell(2, 3), nn.LSTMCell(2, 3), nn.GRUCell(2, 3)]
ALL = {"return_sequence": True, "return_carry": True}


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def sequence(shape, dtype=jnp.float32, seed=0):
    return jax.random.normal(jax.random.key(seed), shape, dtype)


def loop(cell, x, ps, st, carry=None):
    """The same in Python: outputs, carry and state."""
    ys = []
    for t in range(x.shape[-2]):
        (y, carry), st = cell((x[..., t, :], carry), ps, st)
        ys.append(y)
    return jnp.stack(ys, axis=-2), carry, st


@needs_x64
@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["", "packed"])
def test_recurrence_equals_torch_in_value_and_gradient(cell, lengths):
    def run(x, carry, ps):
        carry = tuple(part[0] for part in carry)
        (y, after), _ = nn.Recurrence(cell, **ALL)((x, carry, lengths), ps, lux.Record())
        return y, *(part[None] for part in after)

    name = type(cell).__name__[:-4].lower() + ("" if lengths is None else "_packed")
    check(name, run, functools.partial(weights, suffix="_l0"), {"": "_l0"})


@any_precision
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_recurrence_equals_a_loop(cell, dtype):
    ps, st = made(cell, dtype)
    x = sequence((4, 6, 2), dtype)
    want, carry, _ = loop(cell, x, ps, st)
    (y, after), _ = nn.Recurrence(cell, **ALL)(x, ps, st)
    eps = 8 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(y, want, rtol=eps, atol=eps)
    for left, right in zip(after, carry, strict=True):
        np.testing.assert_allclose(left, right, rtol=eps, atol=eps)
    last, _ = nn.Recurrence(cell)(x, ps, st)
    np.testing.assert_array_equal(last, y[:, -1])


@needs_x64
def test_gradient_through_200_steps_equals_that_of_a_loop():
    cell = nn.LSTMCell(2, 3)
    ps, st = made(cell, "float64")
    x = sequence((200, 2), "float64")

    @jax.jit
    def scanned(ps, x):
        return jax.grad(lambda ps, x: jnp.sum(nn.Recurrence(cell)(x, ps, st)[0]), (0, 1))(ps, x)

    @jax.jit
    def pull(ps, x, carry, cotangent):
        step = lambda ps, x, carry: cell((x, carry), ps, st)[0][1]
        return jax.vjp(step, ps, x, carry)[1](cotangent)

    step = jax.jit(lambda x, carry: cell((x, carry), ps, st)[0][1])
    carries = [cell.initial_carry(x[0], ps, st)[0]]
    for t in range(200):
        carries.append(step(x[t], carries[-1]))
    of_ps, of_x = jax.tree.map(jnp.zeros_like, (ps, x))
    cotangent = (jnp.ones_like(carries[0][0]), jnp.zeros_like(carries[0][1]))
    for t in reversed(range(200)):
        more, of_step, cotangent = pull(ps, x[t], carries[t], cotangent)
        of_ps = jax.tree.map(jnp.add, of_ps, more)
        of_x = of_x.at[t].set(of_step)

    found, want = scanned(ps, x), (of_ps, of_x)
    twin = scanned(ps, x.astype(jnp.float32).astype(jnp.float64))
    distance = lambda a, b: max(
        float(jnp.abs(p - q).max() / jnp.abs(q).max())
        for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    assert distance(found, want) < 1e-12
    assert distance(twin, want) > 1e-9


@needs_x64
def test_hessian_and_forward_mode_agree_with_a_loop():
    cell = nn.GRUCell(2, 2)
    ps, st = made(cell, "float64")
    x = sequence((2, 2), "float64")
    f = lambda x: jnp.sum(nn.Recurrence(cell)(x, ps, st)[0])
    g = lambda x: jnp.sum(loop(cell, x, ps, st)[0][-1])
    found = jax.jit(lambda x: (jax.hessian(f)(x), jax.jacfwd(f)(x)))(x)
    want = jax.jit(lambda x: (jax.hessian(g)(x), jax.grad(g)(x)))(x)
    for left, right in zip(found, want, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def test_program_does_not_grow_with_the_sequence():
    model = nn.Recurrence(nn.LSTMCell(2, 3), return_sequence=True)
    ps, st = made(model)

    def lines(steps):
        loss = lambda ps, x: jnp.sum(model((x, None, jnp.full(4, 2, jnp.int32)), ps, st)[0])
        return str(jax.make_jaxpr(jax.grad(loss))(ps, sequence((4, steps, 2)))).count("\n")

    assert lines(3) == lines(500)


@any_precision
@pytest.mark.parametrize("options", [{"unroll": 4}, {"unroll": 100}, {"checkpoint": True}], ids=str)
def test_unroll_and_checkpoint_change_the_program_and_no_number(options, dtype):
    cell = CELLS[2]
    ps, st = made(cell, dtype)
    x = sequence((4, 6, 2), dtype)
    of = lambda model: jax.value_and_grad(lambda ps: jnp.sum(model(x, ps, st)[0]))
    plain, other = nn.Recurrence(cell), nn.Recurrence(cell, **options)
    eps = 64 * float(jnp.finfo(dtype).eps)
    pairs = zip(jax.tree.leaves(of(plain)(ps)), jax.tree.leaves(of(other)(ps)), strict=True)
    for left, right in pairs:
        np.testing.assert_allclose(left, right, rtol=eps, atol=eps)
    assert str(jax.make_jaxpr(of(plain))(ps)) != str(jax.make_jaxpr(of(other))(ps))


def test_time_major_swaps_the_layout_alone():
    cell = CELLS[1]
    ps, st = made(cell)
    x = sequence((4, 6, 2))
    (y, carry), _ = nn.Recurrence(cell, **ALL)((x, None, LENGTHS), ps, st)
    major = nn.Recurrence(cell, time_major=True, **ALL)
    (turned, same), _ = major((jnp.swapaxes(x, 0, 1), None, LENGTHS), ps, st)
    np.testing.assert_array_equal(jnp.swapaxes(turned, 0, 1), y)
    np.testing.assert_array_equal(same, carry)


@any_precision
def test_sequence_without_batch_and_with_two_batch_axes(dtype):
    model = nn.Recurrence(CELLS[2], return_sequence=True)
    ps, st = made(model, dtype)
    x = sequence((2, 3, 5, 2), dtype)
    y, _ = model((x, None, jnp.full((2, 3), 4)), ps, st)
    assert y.shape == (2, 3, 5, 3)
    row, _ = model((x[1, 2], None, jnp.asarray(4)), ps, st)
    np.testing.assert_allclose(y[1, 2], row, rtol=1e-5)


def test_reverse_runs_from_the_last_step_and_keeps_the_order():
    cell = CELLS[2]
    ps, st = made(cell)
    x = sequence((4, 6, 2))
    (y, carry), _ = nn.Recurrence(cell, reverse=True, **ALL)(x, ps, st)
    want, end, _ = loop(cell, x[:, ::-1], ps, st)
    np.testing.assert_allclose(y, want[:, ::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(carry[0], end[0], rtol=1e-5, atol=1e-6)
    last, _ = nn.Recurrence(cell, reverse=True)(x, ps, st)
    np.testing.assert_array_equal(last, y[:, 0])


def test_carry_goes_on_where_a_chunk_ended():
    model = nn.Recurrence(CELLS[1], return_carry=True)
    ps, st = made(model)
    x = sequence((4, 6, 2))
    (y, carry), _ = model(x, ps, st)
    (_, middle), _ = model(x[:, :2], ps, st)
    (after, end), _ = model((x[:, 2:], middle), ps, st)
    np.testing.assert_allclose(after, y, rtol=1e-6)
    np.testing.assert_allclose(end, carry, rtol=1e-6)


@any_precision
@pytest.mark.parametrize("reverse", [False, True])
def test_padded_sequences_equal_the_same_sequences_one_by_one(reverse, dtype):
    model = nn.Recurrence(CELLS[1], reverse=reverse, **ALL)
    ps, st = made(model, dtype)
    x = sequence((4, 5, 2), dtype)
    (y, carry), _ = model((x, None, LENGTHS), ps, st)
    last, _ = nn.Recurrence(CELLS[1], reverse=reverse)((x, None, LENGTHS), ps, st)
    eps = 8 * float(jnp.finfo(dtype).eps)
    for row, length in enumerate(LENGTHS.tolist()):
        (want, end), _ = model(x[row, :length], ps, st)
        np.testing.assert_allclose(y[row, :length], want, rtol=eps, atol=eps)
        assert (y[row, length:] == 0).all()
        np.testing.assert_allclose(last[row], want[0 if reverse else -1], rtol=eps, atol=eps)
        for whole, part in zip(carry, end, strict=True):
            np.testing.assert_allclose(whole[row], part, rtol=eps, atol=eps)


@any_precision
def test_length_zero_keeps_the_start_and_gives_zeros():
    cell = nn.GRUCell(2, 3, init_state=initializers.ones)
    ps, st = made(cell)
    x = sequence((2, 5, 2))
    lengths = jnp.asarray([0, 9], jnp.int8)
    (y, (hidden,)), _ = nn.Recurrence(cell, return_carry=True)((x, None, lengths), ps, st)
    assert (y[0] == 0).all() and (hidden[0] == 1).all()
    np.testing.assert_allclose(y[1], nn.Recurrence(cell)(x[1], ps, st)[0], rtol=1e-6)


@pytest.mark.parametrize("module", [np, pytest.param(jnp, marks=needs_x64)])
def test_length_too_long_for_int32_counts_as_all(module):
    model = nn.Recurrence(nn.GRUCell(2, 3))
    ps, st = made(model)
    x = sequence((2, 5, 2))
    y, _ = model((x, None, module.asarray([2**32 + 1, 2**40], "int64")), ps, st)
    np.testing.assert_array_equal(y, model((x, None, jnp.asarray([5, 5])), ps, st)[0])


@any_precision
@pytest.mark.parametrize("junk", [jnp.nan, jnp.inf])
def test_what_stands_in_the_padding_reaches_neither_value_nor_gradient(junk, dtype):
    model = nn.Recurrence(CELLS[1], return_sequence=True)
    ps, st = made(model, dtype)
    clean = sequence((4, 5, 2), dtype)
    padding = jnp.arange(5)[None, :, None] >= LENGTHS[:, None, None]
    dirty = jnp.where(padding, jnp.asarray(junk, dtype), clean)
    loss = lambda ps, x: jnp.sum(model((x, None, LENGTHS), ps, st)[0] ** 2)
    slope = jax.jit(jax.value_and_grad(loss, (0, 1)))
    want, found = (slope(ps, x) for x in (clean, dirty))
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(left, right)
    assert (jnp.where(padding, found[1][1], 0) == 0).all()


@any_precision
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_any_layer_that_is_a_cell_works_and_its_state_is_threaded(steps, reverse):
    model = nn.Recurrence(Sum(), reverse=reverse, **ALL)
    ps, st = made(model)
    x = sequence((4, steps, 2))
    (y, total), new = model(x, ps, st)
    want = np.cumsum(x[:, ::-1], axis=1)[:, ::-1] if reverse else np.cumsum(x, axis=1)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, np.sum(x, axis=1), rtol=1e-5, atol=1e-6)
    assert new.steps == steps
    last, _ = nn.Recurrence(Sum(), reverse=reverse)(x, ps, st)
    np.testing.assert_array_equal(last, total)


def test_cell_without_initial_carry_takes_lengths_with_a_carry_alone():
    model = nn.Recurrence(Sum())
    ps, st = made(model)
    x = sequence((4, 5, 2))
    y, new = model((x, jnp.zeros((4, 2), jnp.float32), LENGTHS), ps, st)
    np.testing.assert_allclose(y[1], x[1, :3].sum(0), rtol=1e-5, atol=1e-6)
    assert new.steps == 5
    text = "`Recurrence` with `lengths` expects an initial .* got None, and `Sum` does not define "
    with pytest.raises(TypeError, match=text):
        model((x, None, LENGTHS), ps, st)


LSTM = nn.LSTMCell(2, 3, train_state=True)
WRAPPED = {
    "frozen": nn.FrozenLayer(LSTM, "bias_ih"),
    "all frozen": nn.FrozenLayer(LSTM),
    "watched": nn.DebugLayer(LSTM),
    "tied": nn.tie(LSTM, [("bias_ih", "bias_hh")]),
    "normed": nn.WeightNorm(LSTM, ("weight_ih", "weight_hh")),
    "alternate": nn.AlternatePrecision("bfloat16", LSTM),
    "in a stack": nn.StackedRNNCell(
        nn.FrozenLayer(LSTM, "weight_hh"), nn.DebugLayer(nn.GRUCell(3, 3))
    ),
}


@any_precision
@pytest.mark.parametrize("cell", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_cells_take_lengths(cell):
    model = nn.Recurrence(cell, **ALL)
    ps, st = made(model)
    x = sequence((4, 5, 2))
    (y, _), _ = model((x, None, LENGTHS), ps, st)
    assert y.dtype == x.dtype and not y[1, 3:].any()
    (alone, _), _ = model(x[1, :3], ps, st)
    tolerance = 2e-2 if isinstance(cell, nn.AlternatePrecision) else 1e-6
    np.testing.assert_allclose(y[1, :3], alone, rtol=tolerance, atol=tolerance)


@any_precision
@pytest.mark.parametrize(
    "wrap", [nn.FrozenLayer, nn.DebugLayer, lambda cell: nn.AlternatePrecision("float32", cell)]
)
def test_wrapped_cells_that_cannot_tell_their_start_say_so(wrap):
    model = nn.Recurrence(wrap(Sum()))
    ps, st = made(model)
    x = sequence((4, 5, 2))
    with pytest.raises(TypeError, match=r"got None, and `\w+` does not define one"):
        model((x, None, LENGTHS), ps, st)
    np.testing.assert_allclose(model(x, ps, st)[0], x.sum(1), rtol=1e-5, atol=1e-6)


def test_drawn_start_takes_the_key_of_the_state():
    model = nn.Recurrence(nn.GRUCell(2, 3, init_state=initializers.uniform))
    ps, st = made(model)
    x = sequence((4, 5, 2))
    first, new = model(x, ps, st)
    assert (model(x, ps, new)[0] != first).all()
    np.testing.assert_array_equal(model(x, ps, st)[0], first)


def test_trees_are_those_of_the_cell():
    model = nn.Recurrence(CELLS[1])
    left, right = made(model)[0], made(CELLS[1])[0]
    assert jax.tree.structure(left) == jax.tree.structure(right)
    rows = lux.summary(nn.Chain(model, nn.Dense(3, 1)), sequence((4, 5, 2))).rows
    assert [(row.path, row.layer) for row in rows] == [
        ("layer_1", "LSTMCell(2, 3)"),
        ("layer_2", "Dense(3, 1)"),
    ]


def test_empty_batch_gives_an_empty_output():
    model = nn.Recurrence(CELLS[0], return_sequence=True)
    x = jnp.ones((0, 5, 2), jnp.float32)
    assert model((x, None, jnp.ones(0, jnp.int32)), *made(model))[0].shape == (0, 5, 3)


@needs_x64
@pytest.mark.parametrize("wide", ["x", "carry", "ps"])
def test_mixed_dtypes_widen(wide):
    model = nn.Recurrence(CELLS[2], **ALL)
    ps, st = made(model, "float64" if wide == "ps" else "float32")
    x = sequence((4, 5, 2), "float64" if wide == "x" else "float32")
    carry = (jnp.ones((4, 3), "float64" if wide == "carry" else "float32"),)
    (y, after), _ = model((x, carry), ps, st)
    assert {a.dtype.name for a in (y, *after)} == {"float64"}


@needs_x64
def test_policy_for_dtypes_is_that_of_the_cell():
    model = nn.Recurrence(CELLS[2], **ALL)
    ps, st = made(model)
    x = sequence((4, 5, 2), "float64")
    with precision.match_eltype("convert"):
        (y, carry), _ = model((x, None, LENGTHS), ps, st)
    assert {y.dtype.name, carry[0].dtype.name} == {"float32"}
    with precision.match_eltype("error"):
        with pytest.raises(precision.EltypeMismatchError, match="`GRUCell` has parameters of"):
            model((x, None, LENGTHS), ps, st)
        model((sequence((4, 5, 2)), None, LENGTHS), ps, st)
    assert model(jnp.ones((5, 2), jnp.int32), ps, st)[0][0].dtype == jnp.float32
