"""Which crossings count, in which order, and the states at wanted times."""

import collections

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64, slow
from tests.ode.events.systems import CLOSE, METHOD, METHODS, array, line, passes

pytestmark = pytest.mark.any_precision

# One solve for all levels: they are data.
LEVELS = (
    ode.Event(lambda t, u, a: u - a[0]),
    ode.Event(lambda t, u, a: 2 * (u - a[1])),
)
TS = array([0.0, 4.0, 5.0, 6.0, 10.0])


@jax.jit
def first_of(levels, end):
    problem = ode.Problem(0 * levels[0], ts=TS * end / 10, tspan=(0 * end, end))
    rises = lambda t, u, a: jnp.ones_like(u)
    return ode.solve(rises, problem, levels, method=METHOD, events=LEVELS)


@pytest.mark.parametrize(
    ("levels", "time", "which"),
    [
        ((7.0, 5.0), 5.0, 1),
        ((5.0, 7.0), 5.0, 0),
        ((5.0, 5.0), 5.0, 0),
        ((5.0, 5.001), 5.0, 0),
        ((0.0, 3.0), 3.0, 1),
        ((11.0, -1.0), 10.0, -1),
    ],
)
def test_first_crossing_by_time_ends_the_solve(levels, time, which):
    found = first_of(array(levels), array(10.0))
    np.testing.assert_allclose(found.final.t, time, **CLOSE)
    np.testing.assert_allclose(found.stats.time_reached, time, **CLOSE)
    np.testing.assert_allclose(found.ys, np.minimum(TS, time), **CLOSE)
    assert found.events.which.tolist() == [which]
    assert int(found.events.count) == int(which >= 0)


def test_backwards_in_time():
    found = first_of(array([-7.0, -5.0]), array(-10.0))
    np.testing.assert_allclose(found.final.t, -5.0, **CLOSE)
    np.testing.assert_allclose(found.ys, [0.0, -4.0, -5.0, -5.0, -5.0], **CLOSE)


def test_condition_that_becomes_0_at_the_end_counts():
    found = line((ode.Event(lambda t, u, a: t - 10),))
    assert int(found.events.count) == 1 and float(found.final.t) == 10


@pytest.mark.parametrize(("direction", "times"), [(0, [2.0, 4.0]), (-1, [2.0])])
def test_two_crossings_in_one_step_and_their_directions(direction, times):
    # The field is constant: the steps grow tenfold each.
    both = ode.Event(lambda t, u, a: (u - 2) * (u - 4), stays_put, direction=direction)
    found = line((both,), max_events=2)
    count = int(found.events.count)
    np.testing.assert_allclose(found.events.times[:count], times, **CLOSE)
    assert count == len(times)


def stays_put(t, u, args):
    return u


def test_event_without_affect_may_go_on_and_one_with_it_end():
    marks = passes(3.0, None, terminal=False), passes(6.0, lambda t, u, a: u + 100, terminal=True)
    found = line(marks, max_events=2, ts=(0.0, 3.0, 6.0, 9.0))
    np.testing.assert_allclose(found.events.times[:2], [3, 6], **CLOSE)
    np.testing.assert_allclose(found.ys, [0, 3, 106, 106], **CLOSE)
    np.testing.assert_allclose(found.events.before[:2], [3, 6], **CLOSE)


def test_wanted_state_at_an_event_is_that_after_it():
    doubled = ode.PresetTimes([5.0], lambda t, u, a: 2 * u)
    found = line((doubled,), ts=(0.0, 5.0, 6.0))
    np.testing.assert_allclose(found.ys, [0.0, 10.0, 11.0], **CLOSE)


def test_state_that_an_affect_takes_off_the_condition_meets_it_again():
    found = line((passes(1.0, lambda t, u, a: 0 * u),), end=4.5, max_events=4)
    np.testing.assert_allclose(found.events.times, [1, 2, 3, 4, 4.5], **CLOSE)


def moves(t, u, args):
    return jnp.concatenate([u[2:], 0 * u[:2]])


def wall(axis, place):
    signs = np.ones(4)
    signs[2 + axis] = -1
    return ode.Event(lambda t, u, a: u[axis] - place, lambda t, u, a: u * array(signs))


def test_corner_where_two_walls_are_met_at_once():
    walls = tuple(wall(axis, place) for place in (1.0, 0.0) for axis in (0, 1))
    problem = ode.Problem(array([0.1, 0.1, 0.3, 0.3]), tspan=(0.0, 12.0))
    found = ode.solve(moves, problem, method=METHOD, events=walls, max_events=8)
    np.testing.assert_allclose(found.events.times[:6], np.repeat([3, 19 / 3, 29 / 3], 2), **CLOSE)
    assert found.events.which[:6].tolist() == [0, 1, 2, 3, 0, 1]
    np.testing.assert_allclose(found.final.u, [0.3, 0.3, -0.3, -0.3], **CLOSE)


def grows(t, u, args):
    return args[0] * u


def stops(args, method=METHOD):
    """When u(0) exp(a t) is c."""
    event = ode.Event(lambda t, u, args: u - args[1])
    problem = ode.Problem(args[2], tspan=(0.0, 5.0))
    return ode.solve(grows, problem, args, method=method, events=(event,)).final.t


STOP = array([0.7, 3.0, 0.5])


def stop_time(args):
    return jnp.log(args[1] / args[2]) / args[0]


@slow
@needs_x64
def test_hessian_of_the_time_of_a_stop():
    found = jax.jit(jax.hessian(stops))(STOP)
    np.testing.assert_allclose(found, jax.hessian(stop_time)(STOP), rtol=1e-9, atol=1e-10)


@slow
@needs_x64
def test_implicit_solver_stops_at_the_time_with_its_gradient():
    found = jax.jit(jax.value_and_grad(lambda args: stops(args, METHODS["implicit"])))(STOP)
    wanted = jax.value_and_grad(stop_time)(STOP)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)


@slow
def test_mapped_stops_of_which_one_would_leave_the_finite_numbers():
    event = ode.Event(lambda t, u, a: u - 50)

    def time(u0):
        problem = ode.Problem(u0, tspan=(0.0, 2.0))
        square = lambda t, u, a: u * u
        return ode.solve(square, problem, method=METHOD, events=(event,)).final.t

    times, slopes = jax.jit(jax.vmap(jax.value_and_grad(time)))(array([1.0, 2.0, 0.01]))
    np.testing.assert_allclose(times, [0.98, 0.48, 2.0], **CLOSE)
    np.testing.assert_allclose(slopes, [-1, -0.25, 0], **CLOSE)


@slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    problem = ode.Problem(jnp.zeros((), dtype), tspan=(0.0, 3.0))
    rises = lambda t, u, a: jnp.ones_like(u)
    event = ode.Event(lambda t, u, a: u - 1)
    found = ode.solve(rises, problem, method=ode.Method(rtol=1e-3, atol=1e-3), events=(event,))
    assert found.final.t.dtype == dtype and found.final.u.dtype == dtype
    np.testing.assert_allclose(float(found.final.t), 1.0, rtol=1e-2)


def saw(t, u, args):
    return t % 1 - 0.5


def test_condition_that_jumps_over_0_is_an_error_unless_it_counts_only_where_it_does_not():
    found = line((ode.Event(saw, stays_put, direction=1),), end=2.2, max_events=4)
    np.testing.assert_allclose(found.events.times[:2], [0.5, 1.5], **CLOSE)
    with pytest.raises(RuntimeError, match=r"the condition of an event jumps over 0 at t=1"):
        line((ode.Event(saw, stays_put),), end=2.2, max_events=4)


COUNTED = collections.Counter()


def counting(t, u, args):
    jax.debug.callback(lambda: COUNTED.update(["field"]))
    return -u


@pytest.mark.parametrize(
    ("event", "doubled"),
    [
        (ode.Event(lambda t, u, a: u - array(0.3)), 30),
        pytest.param(ode.PresetTimes([0.1], stays_put), 0, marks=slow),
    ],
    ids=["event", "preset"],
)
def test_evaluations_are_those_of_the_field_where_derivatives_count_twice(event, doubled):
    COUNTED.clear()
    problem = ode.Problem(array(1.0), tspan=(0.0, 3.0))
    found = ode.solve(counting, problem, method=METHOD, events=(event,))
    jax.block_until_ready(found.ys)
    jax.effects_barrier()
    assert int(found.stats.num_field_evaluations) == COUNTED["field"] + doubled


@slow
def test_derivative_where_the_slope_of_the_condition_is_0_is_not_a_number():
    event = ode.Event(lambda t, u, a: (u - a) ** 3)
    found = jax.grad(lambda level: line((event,), args=level).final.t)(array(5.0))
    assert np.isnan(found)


def test_condition_that_is_not_a_number_at_first_is_on_no_side():
    found = line((ode.Event(lambda t, u, a: jnp.sqrt(u - 5) - 2),))
    np.testing.assert_allclose(found.final.t, 9.0, **CLOSE)


def test_preset_times_outside_of_the_span_make_no_room_for_more_events():
    events = (passes(1.0), passes(2.0), ode.PresetTimes([20.0, 30.0], stays_put))
    with pytest.raises(RuntimeError, match=r"more than max_events=1 .* it is at t=2"):
        line(events, max_events=1)


def test_event_that_ends_a_solve_counts_among_max_events():
    with pytest.raises(RuntimeError, match="more than max_events=1 events"):
        line((passes(1.0), passes(2.0, None)), max_events=1)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "DiscreteAdjoint"),
        ({"adjoint": ode.AutoAdjoint(memory=1000)}, "ReversibleAdjoint"),
        ({"adjoint": diffrax.DirectAdjoint()}, "DirectAdjoint"),
    ],
)
def test_stats_tell_the_adjoint_with_events_as_well(options, name):
    problem = ode.Problem(array(0.0), tspan=(0.0, 1.0))
    rises = lambda t, u, args: jnp.ones_like(u)
    found = jax.eval_shape(
        lambda: ode.solve(
            rises, problem, events=(ode.Event(lambda t, u, a: u - 1),), method=ode.Method(**options)
        )
    )
    assert found.stats.adjoint.value == name
