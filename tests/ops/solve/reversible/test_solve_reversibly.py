"""A solve whose steps can be undone: what it solves, undoes, differentiates and remembers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import Fixed, solve, solve_reversibly, tableaus
from sciml_lux.ops.solve.reversible._grid import grid_of
from sciml_lux.ops.solve.reversible._reversible import Pair, Reversible
from sciml_lux.ops.solve.steps._given import Given
from tests.conftest import X64, needs_x64, slow

pytestmark = pytest.mark.any_precision
DTYPE = jnp.float64 if X64 else jnp.float32
EPS = float(jnp.finfo(DTYPE).eps)
START, END, RATE = (jnp.asarray(value, DTYPE) for value in (0.0, 2.0, 0.7))
TS = jnp.asarray([0.0, 0.9, 0.9, 2.0], DTYPE)
Y0 = jnp.asarray([1.0, 0.5], DTYPE)


def pendulum(t, y, rate):
    return jnp.stack([y[1], jnp.sin(t) - rate * jnp.sin(y[0])])


def end(rate, y0=Y0, t0=START, t1=END, field=pendulum, **options):
    options = {"tableau": tableaus.TSIT5, "rtol": 1e-6, "atol": 1e-6, "max_steps": 32} | options
    return solve_reversibly(field, t0, t1, y0, rate, **options)


def plain(rate, y0=Y0, t0=START, t1=END, **options):
    options = {"tableau": tableaus.TSIT5, "rtol": 1e-6, "atol": 1e-6, "max_steps": 32} | options
    return solve(pendulum, t0, t1, y0, rate, **options)


def test_solution_is_that_of_the_solver_to_the_tolerance():
    found, expected = end(RATE, ts=TS), plain(RATE, ts=TS)
    np.testing.assert_allclose(found.y1, expected.y1, atol=1e-4)
    np.testing.assert_allclose(found.ys, expected.ys, atol=1e-4)
    np.testing.assert_array_equal(found.ys[3], found.y1)


def test_states_at_the_same_time_are_the_same():
    found = end(RATE, ts=TS, coupling=0.5)
    np.testing.assert_array_equal(found.ys[0], Y0)
    np.testing.assert_allclose(found.ys[1], found.ys[2], rtol=4 * EPS)


def given_of(ts=()):
    return Given(START, END, jnp.asarray(ts, DTYPE), [Y0], [RATE])


def parametric(parameters, t, y):
    return [pendulum(t, y[0], parameters[0])]


@pytest.mark.parametrize("tableau", [tableaus.EULER, tableaus.TSIT5, tableaus.VERN7], ids=str)
@pytest.mark.parametrize("coupling", [0.9, 1.0])
def test_undone_step_is_the_step_before(tableau, coupling):
    method = Reversible(parametric, tableau, coupling)
    place = jnp.asarray(0.3, DTYPE), jnp.asarray(0.1, DTYPE)
    before = Pair([Y0], [1.1 * Y0])
    after = method.step(given_of(), *place, before)
    assert np.abs(np.asarray(after.y[0] - Y0)).max() > 0.01
    undone = method.undone(given_of(), *place, after)
    for one, other in zip(undone.y + undone.z, before.y + before.z, strict=True):
        np.testing.assert_allclose(one, other, rtol=20 * EPS)


def test_undone_steps_meet_the_start():
    method = Reversible(parametric, tableaus.TSIT5, 0.999)
    grid = grid_of(given_of(), jnp.full(20, 0.05, DTYPE))
    pair, _ = method.through(given_of(), grid)
    for row in reversed(range(20)):
        pair = method.undone(given_of(), grid.starts[row], grid.lengths[row], pair)
    np.testing.assert_allclose(pair.y[0], Y0, rtol=1e3 * EPS)
    np.testing.assert_allclose(pair.z[0], Y0, rtol=1e3 * EPS)


def test_coupled_solution_is_of_the_order_of_the_method():
    """Errors of fixed steps, halved, fall with the second power for a method of order 2."""

    def error(dt0):
        options = {"tableau": tableaus.HEUN, "control": Fixed(), "dt0": dt0, "max_steps": 64}
        exact = plain(RATE, rtol=100 * EPS, atol=100 * EPS, max_steps=512).y1
        return np.abs(np.asarray(end(RATE, **options).y1 - exact)).max()

    assert 1.7 < np.log2(error(0.1) / error(0.05)) < 2.3


def test_grid_is_the_steps_cut_at_wanted_times():
    found = grid_of(given_of([0.5, 0.5, 1.6]), jnp.asarray([0.4, 0.0, 0.6, 0.0], DTYPE))
    count = int(found.num_steps)
    ends = np.asarray((found.starts + found.lengths)[:count])
    np.testing.assert_allclose(ends, [0.25, 0.25, 0.4, 0.4, 0.8, 1.0], rtol=1e-6)
    assert found.saves[:count].tolist() == [0, 1, 3, 3, 2, 3]


@needs_x64
@pytest.mark.parametrize("mode", [jax.jacrev, jax.jacfwd], ids=["reverse", "forward"])
def test_derivatives_are_those_of_the_reversible_steps(mode):
    """Also by the ends, where lengths as fractions of the span stay as they are."""

    @jax.jit
    def state(rate, y0, t0, t1):
        options = {"control": Fixed(), "dt0": (t1 - t0) / 8, "max_steps": 16}
        return end(rate, y0, t0, t1, **options).y1

    at, h = (RATE, Y0, START + 0.1, END), 1e-4
    found = jax.jit(mode(state, (0, 2, 3)))(*at)
    for place, derivative in zip((0, 2, 3), found, strict=True):
        moved = [[x + k * h * (i == place) for i, x in enumerate(at)] for k in (1, -1, 2, -2)]
        near, opposite, far, farthest = (state(*given) for given in moved)
        difference = (8 * (near - opposite) - (far - farthest)) / (12 * h)
        np.testing.assert_allclose(derivative, difference, rtol=1e-9, atol=1e-10)


@needs_x64
@slow
def test_derivative_by_a_wanted_time_is_the_slope():
    state = lambda t: end(RATE, ts=t[None], rtol=1e-9, atol=1e-9, max_steps=256).ys[0]
    t = jnp.asarray(1.3)
    slope = pendulum(t, state(t), RATE)
    np.testing.assert_allclose(jax.jacrev(state)(t), slope, rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(state)(t), slope, rtol=1e-6)


NESTINGS = {
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f)),
    "reverse over reverse": lambda f: jax.grad(jax.grad(f)),
    "reverse over forward": lambda f: jax.grad(jax.jacfwd(f)),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
}


@needs_x64
@pytest.mark.parametrize(
    "nesting", [n if "reverse over" in n else pytest.param(n, marks=slow) for n in NESTINGS]
)
def test_derivatives_nest(nesting):
    """u' = -r u: the second derivative of exp(-2 r)."""
    decay = lambda t, y, rate: -rate * y
    one = jnp.ones(())
    value = lambda rate: end(rate, one, field=decay, tableau=tableaus.BOSH3).y1
    found = jax.jit(NESTINGS[nesting](value))(RATE)
    np.testing.assert_allclose(found, 4 * np.exp(-2 * RATE), rtol=1e-3)


def test_batch_is_each_of_its_members():
    loss = lambda rate: jnp.sum(end(rate, ts=TS).ys)
    one = jax.jit(jax.value_and_grad(loss))
    rates = jnp.asarray([0.3, 0.7, 4.0], DTYPE)
    of_batch = jax.jit(jax.vmap(jax.value_and_grad(loss)))(rates)
    expected = [jnp.stack(values) for values in zip(*map(one, rates), strict=True)]
    for values, others in zip(of_batch, expected, strict=True):
        # The lengths of steps depend on rounding, and the states on them to the tolerance.
        np.testing.assert_allclose(values, others, rtol=1e-7 if X64 else 1e-3)


def test_backwards_and_no_span():
    loss = jax.jit(jax.value_and_grad(lambda y0, t0, t1: jnp.sum(end(RATE, y0, t0, t1).y1)))
    there = end(RATE).y1
    np.testing.assert_allclose(loss(there, END, START)[0], jnp.sum(Y0), atol=1e-3)
    np.testing.assert_array_equal(loss(Y0, START, START)[1], [1, 1])


def test_leaf_without_components():
    empty = {"a": Y0, "none": jnp.zeros(0, DTYPE)}
    found = jax.grad(
        lambda y0: jnp.sum(end(RATE, y0, field=lambda t, y, r: jax.tree.map(jnp.sin, y)).y1["a"])
    )(empty)
    assert found["none"].shape == (0,) and np.isfinite(found["a"]).all()


def test_integers_of_the_field_have_no_cotangent():
    field = lambda t, y, args: -args["rate"] * y * args["count"].astype(y.dtype)
    args = {"rate": RATE, "count": jnp.asarray(2, jnp.int32)}
    loss = lambda args: jnp.sum(end(args, field=field).y1)
    found = jax.grad(loss, allow_int=True)(args)
    assert found["count"].dtype == jax.dtypes.float0
    np.testing.assert_allclose(found["rate"], -4 * np.exp(-2.8) * 1.5, rtol=1e-3)


def test_array_that_the_field_closes_over_has_its_derivative():
    @jax.jit
    @jax.grad
    def slope(rate):
        return jnp.sum(end(None, field=lambda t, y, _: -rate * y).y1)

    np.testing.assert_allclose(slope(RATE), -2 * np.exp(-1.4) * 1.5, rtol=1e-4)


def test_solve_that_fails_has_no_numbers():
    value, found = jax.value_and_grad(lambda rate: jnp.sum(end(rate, max_steps=2).y1))(RATE)
    assert np.isnan(value) and np.isnan(found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_gradient_has_the_dtype_of_what_it_is_by(dtype):
    zero, one, rate = (jnp.asarray(value, dtype) for value in (0.0, 1.0, 0.7))
    decay = lambda t, y, rate: -rate * y
    loss = lambda rate, y0: end(rate, y0, zero, one, decay, rtol=1e-3, atol=1e-3).y1
    found = jax.jit(jax.grad(loss, (0, 1)))(rate, one)
    assert [f.dtype for f in found] == [dtype, dtype]
    room = 4 * float(jnp.finfo(dtype).eps) + 1e-3
    np.testing.assert_allclose(np.float64(found[0]), -np.exp(-np.float64(rate)), rtol=room)
    np.testing.assert_allclose(np.float64(found[1]), np.exp(-np.float64(rate)), rtol=room)


def temporaries(max_steps, method):
    """The bytes that a gradient of a state of 1000 components needs beside what it is given."""
    state = jax.ShapeDtypeStruct((1000,), DTYPE)
    wave = lambda t, y, rate: rate * jnp.cos(y)
    options = {"tableau": tableaus.BOSH3, "rtol": 1e-6, "atol": 1e-6, "max_steps": max_steps}
    loss = lambda y0: jnp.sum(method(wave, START, END, y0, RATE, **options).y1)
    return jax.jit(jax.grad(loss)).lower(state).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_by_states():
    row = 1000 * DTYPE.dtype.itemsize
    few, many = (temporaries(number, solve_reversibly) for number in (64, 1024))
    assert many - few < 1024 * row / 10
    everything = functools.partial(solve, capacity=1024)
    assert temporaries(1024, everything) > 1024 * row


def test_no_tracer_is_left_behind():
    with jax.checking_leaks():
        jax.jit(jax.grad(lambda rate: jnp.sum(end(rate, ts=TS).ys)))(RATE)
