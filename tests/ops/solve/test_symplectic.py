import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sciml_lux.ops.internal import (
    DIVERGED,
    LEAPFROG,
    MAX_STEPS,
    SUCCESSFUL,
    YOSHIDA4,
    YOSHIDA6,
    solve_symplectic,
)
from tests.conftest import needs_x64, slow

METHODS = {"Leapfrog": LEAPFROG, "Yoshida4": YOSHIDA4, "Yoshida6": YOSHIDA6}
START = (np.array([1.0, 0.3]), np.array([0.1, -0.2]))
TIMES = np.array([0.0, 0.77, 1.5, 2.9])


def field(t, u, rate):
    """Both halves depend on the time."""
    q, p = u
    return {"v": p["v"] * (1 + jnp.sin(t) / 2)}, {"v": -rate * (1 + t / 4) * jnp.sin(q["v"])}


def numpy_field(t, u):
    return np.concatenate([u[2:] * (1 + np.sin(t) / 2), -1.3 * (1 + t / 4) * np.sin(u[:2])])


@functools.partial(jax.jit, static_argnums=0, static_argnames="max_steps")
def solved(method, dt0, start=START, t0=0.0, t1=2.9, rate=1.3, max_steps=4096, ts=TIMES):
    start = tuple({"v": jnp.asarray(half, float)} for half in start)
    t0, t1, rate = (jnp.asarray(number, float) for number in (t0, t1, rate))
    given = {"composition": method, "dt0": dt0, "ts": jnp.asarray(ts, float)}
    return solve_symplectic(field, t0, t1, start, rate, max_steps=max_steps, **given)


def joined(pair):
    return np.concatenate([half["v"] for half in pair], axis=-1)


@pytest.fixture(scope="module")
def reference():
    how = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-14, "t_eval": TIMES}
    return solve_ivp(numpy_field, (0, 2.9), np.concatenate(START), **how).y.T


def conditions_of_order_6(*weights):
    """Hairer, Lubich and Wanner, Geometric Numerical Integration, V.3.2; 0 where they hold."""
    row = [*weights, 1 - 2 * sum(weights), *reversed(weights)]
    middles = [sum(row[:i]) + row[i] / 2 for i in range(len(row))]
    of_place = sum(w**3 * place**2 for w, place in zip(row, middles, strict=True))
    return [sum(w**3 for w in row), sum(w**5 for w in row), of_place]


@pytest.mark.any_precision
def test_the_coefficients_are_those_that_the_order_conditions_give():
    with mpmath.workdps(50):
        root = mpmath.mpf(2) ** (mpmath.mpf(1) / 3)
        four = [1 / (2 - root), 1 - 2 / (2 - root)]
        six = list(mpmath.findroot(conditions_of_order_6, YOSHIDA6.weights[:3]))
        middle = 1 - 2 * sum(six)
        assert tuple(map(float, [*four, four[0]])) == YOSHIDA4.weights
        assert tuple(map(float, [*six, middle, *reversed(six)])) == YOSHIDA6.weights
    assert LEAPFROG.weights == (1.0,)


@needs_x64
@pytest.mark.parametrize("name", METHODS)
def test_states_at_the_end_and_inside_have_the_order_of_the_method(name, reference):
    method, errors = METHODS[name], []
    for dt0 in (0.1, 0.05):
        found = solved(method, dt0)
        errors.append(np.abs(joined(found.ys) - reference).max(axis=1)[1:])
    assert np.allclose(np.log2(errors[0] / errors[1]), method.order, atol=0.35)
    np.testing.assert_array_equal(joined(found.ys)[0], np.concatenate(START))
    np.testing.assert_allclose(joined(found.ys)[-1], joined(found.y1), rtol=1e-14)
    assert (found.num_steps, found.t, found.result) == (58, 2.9, SUCCESSFUL)
    assert found.num_evaluations == (58 + len(TIMES)) * method.number


@needs_x64
def test_steps_have_equal_lengths_and_do_not_depend_on_the_wanted_times():
    found = solved(YOSHIDA6, 0.11)
    assert found.num_steps == 27  # 2.9 / 0.11 = 26.4
    assert float(found.step) == 2.9 / 27
    other = solved(YOSHIDA6, 0.11, ts=TIMES / 2)
    np.testing.assert_array_equal(joined(other.y1), joined(found.y1))
    # A number of steps is not one too many where rounding makes the division inexact.
    assert solved(YOSHIDA6, 0.1, t1=0.3).num_steps == 3


@needs_x64
@pytest.mark.parametrize("name", METHODS)
def test_a_solve_back_is_the_inverse_up_to_rounding(name):
    end = solved(METHODS[name], 0.05).y1
    half = tuple(half["v"] for half in end)
    back = solved(METHODS[name], 0.05, start=half, t0=2.9, t1=0.0, ts=TIMES[::-1].copy())
    np.testing.assert_allclose(joined(back.y1), np.concatenate(START), atol=1e-14)


@jax.jit
def gradient(start, rate, t1):
    """Of a function of states at the end and inside, with all states in memory."""
    return jax.grad(measured, (0, 1, 2))(start, rate, t1, 60)


@jax.jit
def thrifty(start, rate, t1):
    """The same gradient with few states in memory, and its derivative by the rate."""

    def of_rate(rate):
        return jax.grad(measured, (0, 1, 2))(start, rate, t1, 10**6)

    return jax.jvp(of_rate, (rate,), (jnp.ones_like(rate),))


def measured(start, rate, t1, max_steps):
    given = {"t1": t1, "rate": rate, "max_steps": max_steps, "ts": TIMES * 0.99}
    found = solved(YOSHIDA4, 0.0512, start, **given)
    return jnp.sum(joined_tree(found.y1)) + jnp.sum(joined_tree(found.ys) ** 3)


def joined_tree(pair):
    return jnp.concatenate([half["v"] for half in pair], axis=-1)


@needs_x64
def test_gradients_are_those_of_differences_and_do_not_depend_on_the_memory():
    start, rate, t1 = tuple(map(jnp.asarray, START)), jnp.asarray(1.3), jnp.asarray(2.9)
    found = gradient(start, rate, t1)
    few, second = thrifty(start, rate, t1)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(few), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)

    def central(move):
        ends = [measured(*move(sign * 1e-5), 4096) for sign in (1, -1)]
        return (ends[0] - ends[1]) / 2e-5

    by_q = central(lambda h: ((start[0].at[1].add(h), start[1]), rate, t1))
    np.testing.assert_allclose(found[0][0][1], by_q, rtol=1e-8)
    np.testing.assert_allclose(found[1], central(lambda h: (start, rate + h, t1)), rtol=1e-8)
    np.testing.assert_allclose(found[2], central(lambda h: (start, rate, t1 + h)), rtol=1e-8)
    after, before = (gradient(start, rate + s * 1e-5, t1) for s in (1, -1))
    for moved, one, other in zip(*map(jax.tree.leaves, (second, after, before)), strict=True):
        np.testing.assert_allclose(moved, (one - other) / 2e-5, rtol=1e-7)


@slow
def test_a_gradient_of_a_million_steps_needs_the_memory_of_two_thousand():
    kinds = tuple(jax.ShapeDtypeStruct((1000,), float) for _ in START)
    number = jax.ShapeDtypeStruct((), float)
    used = thrifty.lower(kinds, number, number).compile().memory_analysis().temp_size_in_bytes
    assert used < 10 * 2048 * 2 * 1000 * 8  # The states at all steps would be 16 GB.


@needs_x64
def test_the_map_of_the_steps_is_symplectic():
    def flow(flat):
        found = solve_symplectic(
            lambda t, u, _: (u[1], -jnp.sin(u[0]) * jnp.cos(u[0][::-1])),
            jnp.zeros(()),
            jnp.ones(()),
            (flat[:2], flat[2:]),
            composition=YOSHIDA4,
            dt0=0.25,
        )
        return jnp.concatenate(found.y1)

    jacobian = np.asarray(jax.jit(jax.jacfwd(flow))(jnp.array([0.3, 1.0, -0.5, 0.2])))
    form = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
    np.testing.assert_allclose(jacobian.T @ form @ jacobian, form, atol=1e-14)
    assert np.abs(jacobian - np.eye(4)).max() > 0.5


@pytest.mark.any_precision
def test_rounding_does_not_add_up():
    """The angular momentum of an orbit, of which each step keeps all but rounding."""
    start = (jnp.array([0.4, 0.0], jnp.float32), jnp.array([0.0, 2.0], jnp.float32))

    def attraction(t, u, _):
        q, p = u
        return p, -q / jnp.sum(q * q) ** jnp.float32(1.5)

    @jax.jit
    def end(t1):
        ends = (jnp.float32(0), jnp.float32(t1))
        given = {"composition": LEAPFROG, "dt0": 0.01, "max_steps": 10**6}
        return solve_symplectic(attraction, *ends, start, **given).y1

    (x, y), (u, v) = np.asarray(end(3000.0), float)
    assert abs(x * v - y * u - 0.8) < 1e-6  # Sums that are not compensated lose 3e-5.


@pytest.mark.any_precision
def test_a_solve_that_ends_early_says_where():
    few = solved(LEAPFROG, 0.01, max_steps=100)
    assert (few.result, few.num_steps) == (MAX_STEPS, 100)
    np.testing.assert_allclose(
        [few.t, *few.y[0]["v"]], [1.0, *solved(LEAPFROG, 0.01, t1=1.0).y1[0]["v"]], rtol=1e-6
    )
    assert np.isnan(joined(few.y1)).all() and np.isnan(joined(few.ys)).all()
    lost = solved(LEAPFROG, 0.1, rate=jnp.inf)
    assert (lost.result, lost.num_steps, lost.t) == (DIVERGED, 0, 0.0)
    np.testing.assert_allclose(joined(lost.y), np.concatenate(START), rtol=1e-6)


@needs_x64
def test_a_batch_has_the_steps_of_each():
    ends, starts = jnp.array([0.0, 0.5, 2.9]), tuple(np.stack([h, 2 * h, 3 * h]) for h in START)

    def end(start, t1):
        found = solved(YOSHIDA4, 0.1, start, t1=t1, ts=t1[None] / 3)
        return jnp.append(joined_tree(found.y1), joined_tree(found.ys)), found.num_steps

    def both(*given):
        return end(*given), jax.jacrev(lambda *g: end(*g)[0], 1)(*given)

    alone = jax.jit(both)
    (states, steps), slopes = jax.jit(jax.vmap(both))(starts, ends)
    assert steps.tolist() == [1, 5, 29]
    for i, t1 in enumerate(ends):
        (one, _), slope = alone(tuple(h[i] for h in starts), t1)
        np.testing.assert_allclose(states[i], one, rtol=1e-14)
        np.testing.assert_allclose(slopes[i], slope, rtol=1e-12, atol=1e-14)
