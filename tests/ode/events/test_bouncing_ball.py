"""A bouncing ball: times, states and derivatives against their closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import X64, needs_x64, slow
from tests.ode.events.systems import (
    CLOSE,
    METHODS,
    array,
    ball,
    ball_end,
    ball_times,
)

E, H = array(0.8), array(1.0)


def observed(restitution, start, method=METHODS["lean"]):
    solution = ball(restitution, start, method, max_events=4)
    return solution.events.times[:3], solution.final.u


def closed(restitution, start):
    return ball_times(restitution, start), ball_end(restitution, start)


observe = jax.jit(jax.value_and_grad(lambda *args: sum(map(jnp.sum, observed(*args))), (0, 1)))


def assert_close(found, wanted, **tolerances):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, **(tolerances or CLOSE))


def test_times_states_and_count():
    solution = ball(E, H, max_events=4)
    assert_close((solution.events.times[:3], solution.final.u), closed(E, H))
    assert int(solution.events.count) == 3
    assert solution.events.which.tolist() == [0, 0, 0, -1, -1]
    before, after = solution.events.before[:3], solution.events.after[:3]
    np.testing.assert_allclose(after[:, 1], -E * before[:, 1], rtol=1e-6)
    np.testing.assert_allclose(before[:, 0], 0, atol=1e-12 if X64 else 1e-5)
    # Rows without an event are the end.
    assert (solution.events.times[3:] == 2).all()
    np.testing.assert_array_equal(solution.events.after[3:], [solution.final.u] * 2)
    assert all(leaf.dtype == E.dtype for leaf in (solution.events.times, before, after))


def test_gradients_by_restitution_and_height():
    wanted = jax.value_and_grad(lambda *args: sum(map(jnp.sum, closed(*args))), (0, 1))(E, H)
    assert_close(observe(E, H), wanted)


@needs_x64
def test_gradient_agrees_with_differences_at_another_point():
    e, step = array(0.7), 1e-5
    difference = (observe(e + step, H)[0] - observe(e - step, H)[0]) / (2 * step)
    np.testing.assert_allclose(observe(e, H)[1][0], difference, rtol=1e-7)


@needs_x64
def test_ball_learns_its_restitution_from_the_times_of_its_bounces():
    data = ball_times(array(0.83), H)

    @jax.jit
    def step(e):
        residual = lambda e: observed(e, H)[0] - data
        r, slope = jax.jvp(residual, (e,), (jnp.ones_like(e),))
        return e - jnp.sum(r * slope) / jnp.sum(slope * slope)

    e = array(0.7)
    for _ in range(6):
        e = step(e)
    assert abs(float(e) - 0.83) < 1e-9


@slow
@needs_x64
def test_third_derivatives_by_the_restitution():
    def third(f):
        return jax.jacfwd(jax.jacfwd(jax.jacrev(f)))

    found = jax.jit(third(lambda e: jnp.concatenate(observed(e, H))))(E)
    wanted = third(lambda e: jnp.concatenate(closed(e, H)))(E)
    assert_close(found, wanted, rtol=1e-8, atol=1e-8)


@slow
def test_diffrax_has_the_same_events_and_gradients():
    function = lambda *args: sum(map(jnp.sum, observed(*args, METHODS["explicit"])))
    found = jax.jit(jax.value_and_grad(function, (0, 1)))(E, H)
    assert_close(found, observe(E, H), rtol=1e-7 if X64 else 1e-3)


def test_each_trajectory_of_a_batch_has_its_own_events():
    restitution = array([0.3, 0.8, 1.0])
    wanted = jnp.stack([ball_times(e, H) for e in restitution])
    found = jax.jit(jax.vmap(lambda e: ball(e, H, end=0.75).events))(restitution)
    np.testing.assert_array_equal(found.count, [2, 1, 1])
    for times, count, reference in zip(found.times, found.count, wanted, strict=True):
        np.testing.assert_allclose(times[:count], reference[:count], **CLOSE)
        assert (times[count:] == 0.75).all()


RESTING = r"happened twice at t=[01]\.\d+, closer together than the clock can tell apart"


def test_ball_that_stays_on_the_ground_does_not_fall_through_it():
    with pytest.raises(RuntimeError, match=RESTING):
        ball(array(0.0), H, max_events=4)


@slow
def test_ball_that_comes_to_rest_is_an_error():
    with pytest.raises(RuntimeError, match=RESTING):
        ball(array(0.5), H, end=5.0, max_events=100)


def test_more_events_than_max_events_are_an_error():
    with pytest.raises(RuntimeError, match=r"more than max_events=4 events happened before t1=2"):
        ball(array(0.6), H, max_events=4)
