"""One stretch of a solve, from where it is to the next event or the end."""

from typing import Any

import jax
import jax.numpy as jnp

from ...ops import internal as lean
from ..solution._results import RESULTS
from ._after_event import after_event
from ._implicit_time import NUM_EVALUATIONS, at_root
from ._place import Counts, Meeting, Place, Row, Task, goes_on


def stretch(task: Task, place: Place) -> tuple[Place, Row]:
    """The place after the next event, or at the end, and what happened.

    The stretch is solved twice: to find where it ends, without derivatives; and to there.
    """
    happening, (_, t1) = task.happening, task.span
    is_preset = place.preset < happening.num_preset
    ends = jnp.append(happening.preset, t1)
    limit = jnp.where(is_preset, ends[place.preset], t1)
    waits = place.pending.any()
    # Of a batch, one that has ended stays where it is.
    limit = jnp.where(waits | ~goes_on(place), place.t, limit)
    crossing = _crossing(task, place, limit)
    found = crossing.found & (limit != place.t)
    end = jnp.where(found, jax.lax.stop_gradient(_between(place.t, crossing.t, limit)), limit)
    end = jnp.where(crossing.result == RESULTS.successful, end, place.t)
    attempt = _solved(task, place, end)
    candidates = jnp.where(waits, place.pending, crossing.which)
    meeting = _meeting(task, place, (end, limit), attempt, candidates, found | waits)
    result = RESULTS.where(
        crossing.result == RESULTS.successful, attempt.solution.result, crossing.result
    )
    again = found & (meeting.which == place.last) & (meeting.t == place.t)
    result = RESULTS.where(again, RESULTS.events_accumulate, result)
    result = RESULTS.where(crossing.jumps & found, RESULTS.condition_jumps, result)
    lost = crossing.result != RESULTS.successful
    reached = (attempt.solution.stats.time_reached, attempt.reached)
    reached = jax.tree.map(
        lambda new, old: jnp.where(lost, new, old), (crossing.t, crossing.y), reached
    )
    place = place._replace(
        result=result,
        reached=reached,
        counts=_counted(task, place.counts, crossing, attempt),
        first=_first(task, place, attempt),
    )
    return after_event(task, place, meeting, attempt, (crossing.signs, is_preset & ~waits))


def _crossing(task: Task, place: Place, limit: jax.Array) -> lean.Crossing:
    """Where a condition is met before `limit`; nowhere if there are no conditions."""
    happening = task.happening
    none, zero = jnp.zeros(len(happening.places), bool), jnp.zeros((), jnp.int32)
    no = jnp.zeros((), bool)
    if not len(none):
        success = jax.tree.map(jnp.asarray, RESULTS.successful)
        return lean.Crossing(no, limit, none, no, place.signs, place.u, zero, zero, zero, success)
    watch = lean.Watch(happening.conditions, happening.directions, place.signs)
    span = jnp.stack([place.t, limit])
    cross: Any = task.engine.cross  # Where it is None events are refused.
    return cross(task.equation, task.method, span, place.u, watch, task.first_step)


def _solved(task: Task, place: Place, end: jax.Array) -> Any:
    ts = None if task.ts is None else _between(place.t, task.ts, end)
    span = jnp.stack([place.t, end])
    return task.engine.solve(task.equation, task.method, span, ts, place.u, task.first_step)


def _between(start: jax.Array, t: jax.Array, end: jax.Array) -> jax.Array:
    """`t`, or where it is beyond one of them, `start` or `end`."""
    least, most = jnp.minimum(start, end), jnp.maximum(start, end)
    return jnp.where(t < least, least, jnp.where(t > most, most, t))


def _meeting(
    task: Task,
    place: Place,
    ends: tuple[jax.Array, jax.Array],
    attempt: Any,
    candidates: jax.Array,
    met: jax.Array,
) -> Meeting:
    happening, equation, u = task.happening, task.equation, attempt.solution.final.u
    t, limit = ends
    if not len(happening.places):
        return Meeting(met, jnp.zeros((), jnp.int32), t, u)
    which = jnp.argmax(candidates).astype(jnp.int32)
    t, u = at_root(
        lambda t, u: happening.conditions(t, u)[which],
        lambda t, u: equation.field(t, u, equation.parameters),
        t,
        u,
        (place.t, limit),
        met,
    )
    return Meeting(met, which, t, u)


def _counted(task: Task, counts: Counts, crossing: lean.Crossing, attempt: Any) -> Counts:
    stats, count = attempt.solution.stats, counts.evaluations
    more = stats.num_field_evaluations
    if more is not None and crossing.num_evaluations is not None:
        root = (NUM_EVALUATIONS + 1) * int(len(task.happening.places) > 0)
        count = count + more + crossing.num_evaluations + root
    return Counts(
        counts.steps + stats.num_steps + crossing.num_steps,
        counts.accepted + stats.num_accepted_steps + crossing.num_accepted,
        count,
    )


def _first(task: Task, place: Place, attempt: Any) -> jax.Array:
    first = attempt.solution.stats.first_step
    return place.first if first is None else jnp.where(place.first == 0, first, place.first)
