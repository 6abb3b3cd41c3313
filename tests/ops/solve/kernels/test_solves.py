"""Solves by kernels, and their transposes, are those of the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import (
    DIVERGED,
    FIELD_NOT_FINITE,
    MAX_STEPS,
    NO_STEP,
    STATE_NOT_FINITE,
    SUCCESSFUL,
    Fixed,
)
from sciml_lux.ops.solve.derivative._derivative import _replayed
from sciml_lux.ops.solve.steps._given import Given
from sciml_lux.ops.solve.steps._record import rows_of

from ...host import needs_compiler
from .cases import ALONE, CASES, SLOW, found_by_kernel, kernels
from .ensemble import DOUBLE, TOLERANCE

PRECISE = 1e-12 if DOUBLE else 1e-5
ESTIMATED = 1e-3
"""Of what is made of an estimated error, in which nearly equal numbers cancel."""

NAMES = [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
cases = pytest.mark.parametrize("name", NAMES)
pytestmark = needs_compiler


def case_of(name):
    return {**CASES, **SLOW}[name]


def by_loop(name, which):
    """What the loop finds of all trajectories, their axis last."""
    return jax.tree.map(
        lambda *x: np.stack(x, axis=-1), *(found[which] for found in case_of(name).by_loop)
    )


def close(found, wanted, precise=PRECISE):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        size = max(1.0, np.max(np.abs(other), initial=0, where=np.isfinite(other)))
        np.testing.assert_allclose(one / size, other / size, rtol=0, atol=precise)


def is_reached(name):
    """Of each trajectory, whether it stops at the same time by both."""
    return (by_loop(name, 0).result == SUCCESSFUL) | isinstance(case_of(name).control, Fixed)


def through(name):
    """`Found` of the kernel and of the loop, of the trajectories that stop at the same time."""
    found, wanted = found_by_kernel(name), by_loop(name, 0)
    np.testing.assert_array_equal(found.result, wanted.result)
    reached = is_reached(name)
    assert reached.any()
    return [jax.tree.map(lambda x: x[..., reached], both) for both in (found, wanted)]


def has_the_same_steps(name):
    """Whether kernel and loop take the same: in float32 estimated errors are partly rounding."""
    return DOUBLE or isinstance(case_of(name).control, Fixed)


@cases
def test_steps_and_states_are_those_of_the_loop(name):
    found, wanted = through(name)
    np.testing.assert_array_equal(found.s, wanted.s)
    if not has_the_same_steps(name):
        close((found.y1, found.ys), (wanted.y1, wanted.ys), 100 * TOLERANCE)
        np.testing.assert_allclose(found.tried.steps, wanted.tried.steps, 0.1, 3)
        return
    np.testing.assert_array_equal(found.accepted, wanted.accepted)
    np.testing.assert_array_equal(found.tried.steps, wanted.tried.steps)
    if case_of(name).in_line:
        np.testing.assert_array_equal(found.tried.evaluations, wanted.tried.evaluations)
    close((found.y1, found.ys), (wanted.y1, wanted.ys))
    np.testing.assert_allclose(found.tried.first, wanted.tried.first, 1e-4 * ESTIMATED)
    for one, other in zip(found.tried.errors, wanted.tried.errors, strict=True):
        np.testing.assert_allclose(one, other, ESTIMATED, ESTIMATED)
    np.testing.assert_allclose(found.tried.following, wanted.tried.following, ESTIMATED)


@pytest.mark.parametrize("name", NAMES if DOUBLE else ["fixed, alone"])
def test_records_are_those_of_the_loop(name):
    case = case_of(name)
    rows, _ = rows_of(case.max_steps, case.capacity)
    for found, wanted in zip(*map(members, through(name)), strict=True):
        steps, stride = int(wanted.steps), int(wanted.stride)
        assert (found.steps, found.stride) == (steps, stride)
        kept = np.arange(0, steps, stride)
        kept = kept % rows + kept // rows if stride > 1 else kept
        close(found.lengths[:steps], wanted.lengths[:steps], 1e-3 * ESTIMATED)
        close(found.starts[kept], wanted.starts[kept], 1e-3 * ESTIMATED)
        for one, other in zip(found.states, wanted.states, strict=True):
            close(one[kept], other[kept], 1e-2 * ESTIMATED)


def members(found):
    """The record of each trajectory."""
    number = len(found.record.steps)
    return [jax.tree.map(lambda x, i=i: x[..., i], found.record) for i in range(number)]


@cases
@pytest.mark.parametrize("record", ["kernel", "loop"])
def test_cotangents_are_those_of_the_loop(name, record):
    case, wanted = case_of(name), by_loop(name, 1)
    steps = found_by_kernel(name) if record == "kernel" else by_loop(name, 0)
    found = case.pull(kernels(name if name in SLOW else ""), steps, (name, "backward"))
    reached = is_reached(name)
    is_same = record == "loop" or has_the_same_steps(name)
    # Relative to the largest of all.
    one, other = (np.stack(jax.tree.leaves(both))[:, reached] for both in (found, wanted))
    close(one, other, PRECISE if is_same else 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two blocks", "thinned, back in time"])
def test_records_of_kernels_are_read_by_the_derivative_of_the_loop(name):
    case = case_of(name)

    def pulled(record, given, seeds):
        def moved(parameters, y0):
            tangent = Given(None, None, None, y0, parameters)
            return _replayed(case.form, case.options, False, given, record, tangent)[:2]

        return jax.linear_transpose(moved, given.parameters, given.y0)(seeds)

    last = found_by_kernel(name).record, case.seeds
    record, seeds = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), last)
    given = jax.tree.map(jnp.asarray, case.given[0])
    found = jax.jit(jax.vmap(pulled))(record, given, seeds)
    wanted = case.pull(kernels(""), found_by_kernel(name), (name, "backward"))
    parameters = [p for p, m in zip(found[0], case.backward.moving, strict=True) if m]
    close(np.stack([*parameters, *found[1]]), np.stack(jax.tree.leaves(wanted)))


def test_cases_are_what_they_are_for():
    steps = found_by_kernel("two blocks").tried.steps
    assert len(set(steps.tolist())) > 1
    thinned = found_by_kernel("thinned, back in time")
    assert (thinned.record.stride > 1).all()
    assert (thinned.tried.steps > thinned.accepted).any() or not DOUBLE
    assert set(ALONE) == set(CASES["fixed, alone"].shared)


@pytest.mark.slow
def test_fixed_steps_may_be_too_many():
    found = found_by_kernel("too many")
    assert (found.result == MAX_STEPS).all() and (found.s < 0.5).all()
    assert np.isnan(found.ys[0][1]).all() and np.isfinite(found.ys[0][0]).all()


def test_each_trajectory_ends_for_its_own_reason():
    found = found_by_kernel("ends")
    assert found.result.tolist()[:2] == [SUCCESSFUL, FIELD_NOT_FINITE]
    assert found.result[2] in (NO_STEP, DIVERGED)
    assert found.result.tolist()[3:] == [MAX_STEPS, STATE_NOT_FINITE]
    assert found.tried.steps.tolist()[3] == CASES["ends"].max_steps
    assert found.tried.steps.tolist()[1] == found.tried.steps.tolist()[4] == 0
    assert found.tried.steps[2] < CASES["ends"].max_steps
    np.testing.assert_array_equal(np.isnan(found.ys[0][:, 1]), [True, True])
    np.testing.assert_array_equal(np.isnan(found.ys[0][:, 2]), [False, True])


def test_cotangents_of_a_solve_without_steps_are_those_of_its_end():
    case = CASES["ends"]
    _, y0 = case.pull(kernels(""), found_by_kernel("ends"), ("ends", "backward"))
    for found, wanted in zip(y0, case.seeds[0], strict=True):
        np.testing.assert_array_equal(found[[1, 4]], wanted[[1, 4]])


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_number_that_is_slightly_wrong_is_noticed(way):
    name = "fixed, alone"
    case, library = CASES[name], kernels("")
    if way == "forward":
        found = case.solve(library, (name, "forward mutant"))
        pair = (found.y1, found.ys), (by_loop(name, 0).y1, by_loop(name, 0).ys)
    else:
        pair = (
            case.pull(library, found_by_kernel(name), (name, "backward mutant")),
            by_loop(name, 1),
        )
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        close(*pair)
