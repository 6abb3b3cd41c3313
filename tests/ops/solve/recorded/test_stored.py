"""The solution between the steps as polynomials: what they are worth, and how they are read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import Fixed, solve, tableaus, with_fine_interpolant
from tests.conftest import X64, needs_x64

pytestmark = pytest.mark.any_precision
DTYPE = jnp.float64 if X64 else jnp.float32
EPS = float(jnp.finfo(DTYPE).eps)
TSIT5 = with_fine_interpolant(tableaus.TSIT5)
START, END, RATE = (jnp.asarray(value, DTYPE) for value in (0.0, 2.0, 0.7))


def turns(t, y, rate):
    """A rotation that grows: y = exp(0.1 t) (cos, sin)(rate t)."""
    return jnp.stack([0.1 * y[0] - rate * y[1], rate * y[0] + 0.1 * y[1]])


def turned(t, rate=RATE):
    return jnp.exp(0.1 * t) * jnp.stack([jnp.cos(rate * t), jnp.sin(rate * t)])


def stored(rate=RATE, t0=START, t1=END, y0=None, tableau=TSIT5, field=turns, **options):
    options = {"rtol": 1e-6, "atol": 1e-6, "max_steps": 32} | options
    y0 = turned(t0, rate) if y0 is None else y0
    return solve(field, t0, t1, y0, rate, tableau=tableau, stores=True, **options).stored


# All times in one program.
read = jax.jit(jax.vmap(lambda kept, t: kept.at(t)[0], (None, 0)))
TIMES = jnp.linspace(0.0, 2.0, 23).astype(DTYPE)


def test_states_between_the_steps_are_those_of_the_solution():
    found = read(stored(), TIMES)
    np.testing.assert_allclose(found, jax.vmap(turned)(TIMES), atol=2e-5)


def test_states_at_the_ends_of_steps_are_those_of_the_solve():
    found = solve(turns, START, END, turned(START), RATE, tableau=TSIT5, max_steps=32, stores=True)
    kept, number = found.stored, int(found.stored.steps)
    starts = kept.t0 + kept.starts[:number] * kept.span
    np.testing.assert_allclose(read(kept, starts), kept.states[0][:number], rtol=8 * EPS, atol=EPS)
    np.testing.assert_allclose(read(kept, END[None])[0], found.y1, rtol=20 * EPS)


def test_polynomial_is_the_interpolant_of_the_solve():
    options = {"tableau": TSIT5, "max_steps": 32, "rtol": 1e-3, "atol": 1e-3}
    found = solve(turns, START, END, turned(START), RATE, stores=True, dense=True, **options)
    dense = jax.jit(jax.vmap(found.between))(TIMES)
    np.testing.assert_allclose(read(found.stored, TIMES), dense, rtol=40 * EPS, atol=40 * EPS)


@pytest.mark.parametrize("tableau", [tableaus.TSIT5, tableaus.BOSH3, tableaus.VERN7], ids=str)
def test_every_step_has_a_polynomial_that_meets_the_next(tableau):
    kept = stored(tableau=tableau)
    number = int(kept.steps)
    rows = jnp.arange(number - 1, dtype=jnp.int32)
    after = jax.vmap(lambda row: kept.inside(row, jnp.ones((), DTYPE))[0])(rows)
    np.testing.assert_allclose(after, kept.states[0][1:number], rtol=40 * EPS, atol=20 * EPS)


def test_backwards_in_time():
    kept = stored(t0=END, t1=START)
    np.testing.assert_allclose(read(kept, TIMES), jax.vmap(turned)(TIMES), atol=2e-5)


def test_no_span_has_the_start():
    found = read(stored(t1=START), START[None])
    np.testing.assert_array_equal(found[0], turned(START))


def test_rejected_steps_leave_no_row():
    kept = stored(dt0=2.0)
    number = int(kept.steps)
    assert (np.asarray(kept.lengths[:number]) > 0).all()
    np.testing.assert_allclose(np.sum(kept.lengths[:number]), 1, rtol=8 * EPS)
    np.testing.assert_allclose(
        kept.starts[1:number], np.cumsum(kept.lengths[: number - 1]), rtol=1e-5
    )
    np.testing.assert_array_equal(kept.coefficients[0][number:], 0)


def test_reading_evaluates_no_field():
    calls = []

    def counted(t, y, rate):
        jax.debug.callback(lambda: calls.append(1))
        return turns(t, y, rate)

    kept = stored(field=counted)
    jax.block_until_ready(kept)
    jax.effects_barrier()
    before = len(calls)
    jax.block_until_ready(read(kept, TIMES))
    jax.effects_barrier()
    assert before > 0 and len(calls) == before


@needs_x64
def test_derivatives_of_a_state_inside_are_those_of_differences():
    """By the rate, of fixed steps."""

    @jax.jit
    def state(rate, t):
        kept = stored(rate, y0=jnp.ones(2), control=Fixed(), dt0=0.2)
        return kept.at(t)[0][0]

    t, h = jnp.asarray(1.31), 1e-4
    pairs = [(state(RATE + k * h, t) - state(RATE - k * h, t)) / (2 * k * h) for k in (1, 2)]
    difference = (4 * pairs[0] - pairs[1]) / 3
    for mode in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(mode(state)(RATE, t), difference, rtol=1e-9)


@needs_x64
def test_derivative_by_the_time_is_the_slope():
    kept = stored(rtol=1e-9, atol=1e-9, max_steps=128)
    t = jnp.asarray(0.77)
    slope = jax.jacfwd(lambda t: kept.at(t)[0])(t)
    np.testing.assert_allclose(slope, turns(t, turned(t), RATE), atol=1e-7)


def test_complex_state():
    complex_dtype = jnp.complex128 if X64 else jnp.complex64
    found = read(stored(y0=jnp.ones(1, complex_dtype), field=lambda t, y, rate: y * -1j), TIMES)
    assert found.dtype == complex_dtype
    np.testing.assert_allclose(found[:, 0], np.exp(-1j * np.asarray(TIMES)), atol=2e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_polynomials_in_float32(dtype):
    zero, two, one = (jnp.asarray(value, dtype) for value in (0.0, 2.0, 0.7))
    kept = stored(one, zero, two, jnp.ones(2, dtype), rtol=1e-3, atol=1e-3)
    assert {leaf.dtype for leaf in (*kept.states, *kept.coefficients)} == {jnp.float32.dtype}


def test_batch_is_each_of_its_members():
    rates = jnp.stack([RATE, 3 * RATE])
    mapped = jax.jit(jax.vmap(lambda rate: stored(rate, y0=jnp.ones(2, DTYPE)).at(END / 3)[0]))
    one_by_one = [stored(rate, y0=jnp.ones(2, DTYPE)).at(END / 3)[0] for rate in rates]
    np.testing.assert_allclose(mapped(rates), one_by_one, rtol=1e-5)


def test_state_without_components_and_several_leaves():
    y0 = {"a": jnp.ones(2, DTYPE), "none": jnp.zeros(0, DTYPE), "b": jnp.ones((), DTYPE)}
    kept = stored(y0=y0, field=lambda t, y, rate: jax.tree.map(lambda leaf: -rate * leaf, y))
    a, b, none = kept.at(END)
    np.testing.assert_allclose(a, np.full(2, np.exp(-1.4)), rtol=1e-4)
    np.testing.assert_allclose(b, np.exp(-1.4), rtol=1e-4)
    assert none.shape == (0,)


def test_no_tracer_is_left_behind():
    with jax.checking_leaks():
        jax.jit(jax.grad(lambda rate: jnp.sum(stored(rate).at(END / 3)[0])))(RATE)
