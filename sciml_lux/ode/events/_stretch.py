"""One stretch of a solve, from where it is to the next event or the end."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...ops import internal as lean
from ..engines._engine import Engine
from ..equation._equation import Equation
from ..equation._with_cost import state_of
from ..method._method import Method
from ..problem._step import Step
from ..solution._results import RESULTS
from ._happening import Happening
from ._implicit_time import NUM_EVALUATIONS, at_root


class Task(NamedTuple):
    """What all stretches have in common.

    Attributes:
        engine: what solves.
        equation: the equation.
        method: how it is solved.
        span: (t0, t1).
        ts: (n,) the times at which the state is wanted; None for t1 alone.
        first_step: with which each stretch begins; None lets the engine choose.
        happening: the events.
    """

    engine: Engine
    equation: Equation
    method: Method
    span: jax.Array
    ts: jax.Array | None
    first_step: Step | None
    happening: Happening


class Counts(NamedTuple):
    """How much work it was, in both passes over each stretch; int32.

    Attributes:
        steps: all of them.
        accepted: steps.
        evaluations: of the field; 0 where they are not counted.
    """

    steps: jax.Array
    accepted: jax.Array
    evaluations: jax.Array


class Place(NamedTuple):
    """How far a solve has come.

    Attributes:
        t: the time.
        u: the state.
        signs: (n,) the side of 0 on which each condition is; 0 where it has still to leave it.
        last: int32, which condition was met here; -1 for none.
        near: (n,) conditions that what happened here has left at 0, up to rounding.
        pending: (n,) conditions that were 0 at this time too, and whose turn is still to come.
        preset: int32, how many preset times are over.
        ended: whether it has reached the end, or an event that ends it.
        result: why it failed, or success.
        ys: the wanted states so far; None where none are.
        counts: how much work it was.
        first: the length of the first step.
        reached: the time and the state that the engine reached last, without derivatives.
    """

    t: jax.Array
    u: Any
    signs: jax.Array
    last: jax.Array
    near: jax.Array
    pending: jax.Array
    preset: jax.Array
    ended: jax.Array
    result: Any
    ys: Any
    counts: Counts
    first: jax.Array
    reached: tuple[jax.Array, Any]


class Row(NamedTuple):
    """What happened at the end of a stretch.

    Attributes:
        t: the time.
        which: int32, the place of the event; -1 for nothing.
        before: the state before.
        after: the state after.
    """

    t: jax.Array
    which: jax.Array
    before: Any
    after: Any


class _Meeting(NamedTuple):
    """The end of a stretch: where a condition was met, at a preset time or at t1.

    Attributes:
        met: whether a condition was.
        which: int32, the first of those.
        t: the time.
        u: the state before it changes.
    """

    met: jax.Array
    which: jax.Array
    t: jax.Array
    u: Any


def goes_on(place: Place) -> jax.Array:
    """Whether there is another stretch."""
    return ~place.ended & (place.result == RESULTS.successful)


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
    return _after(task, place, meeting, attempt, (crossing.signs, is_preset & ~waits))


def _crossing(task: Task, place: Place, limit: jax.Array) -> lean.Crossing:
    """Where a condition is met before `limit`; nowhere if there are no conditions."""
    happening = task.happening
    none, zero = jnp.zeros(len(happening.places), bool), jnp.zeros((), jnp.int32)
    if not len(none):
        success = jax.tree.map(jnp.asarray, RESULTS.successful)
        found = (none.any(), limit, none, place.signs, place.u, zero, zero, zero, success)
        return lean.Crossing(*found)
    watch = lean.Watch(happening.conditions, happening.directions, place.signs)
    span = jnp.stack([place.t, limit])
    return task.engine.cross(task.equation, task.method, span, place.u, watch, task.first_step)


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
) -> _Meeting:
    happening, equation, u = task.happening, task.equation, attempt.solution.final.u
    t, limit = ends
    if not len(happening.places):
        return _Meeting(met, jnp.zeros((), jnp.int32), t, u)
    which = jnp.argmax(candidates).astype(jnp.int32)
    t, u = at_root(
        lambda t, u: happening.conditions(t, u)[which],
        lambda t, u: equation.field(t, u, equation.parameters),
        t,
        u,
        (place.t, limit),
        met,
    )
    return _Meeting(met, which, t, u)


def _after(
    task: Task,
    place: Place,
    meeting: _Meeting,
    attempt: Any,
    looked: tuple[jax.Array, jax.Array],
) -> tuple[Place, Row]:
    """The place after what happened."""
    happening, (signs_before, is_preset) = task.happening, looked
    preset = is_preset & ~meeting.met
    happens = (meeting.met | preset) & (place.result == RESULTS.successful)
    event = _event(happening, place, meeting, happens)
    affects = [lambda t, u: u, *happening.affects]
    u = jax.lax.switch(event + 1, affects, meeting.t, meeting.u)
    ended = ~happens | jnp.append(happening.ends, False)[event]
    signs, near, pending = _sides(task, place, meeting, u, signs_before)
    ys = _wanted(task, place, attempt, meeting.t, ended)
    row = Row(meeting.t, event, state_of(meeting.u), state_of(u))
    place = place._replace(
        t=meeting.t,
        u=u,
        signs=signs,
        last=jnp.where(meeting.met, meeting.which, -1),
        near=near,
        pending=pending,
        preset=place.preset + preset.astype(jnp.int32),
        ended=ended,
        ys=ys,
    )
    return place, row


def _event(happening: Happening, place: Place, meeting: _Meeting, happens: jax.Array) -> jax.Array:
    """The place of what happens among the events; -1 for nothing."""
    nothing = np.full(1, -1, np.int32)
    owners = jnp.append(happening.preset_places, nothing)
    events = jnp.append(jnp.asarray(happening.places), nothing)
    event = jnp.where(meeting.met, events[meeting.which], owners[place.preset])
    return jnp.where(happens, event, -1).astype(jnp.int32)


def _sides(
    task: Task, place: Place, meeting: _Meeting, after: PyTree, signs: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The side of 0 on which each condition is after an event, which are at 0, and which wait.

    A condition that was met is on the side to which it moves, where the event has left it at 0, up
    to rounding; on that where it came from, if it does not move. So it is not met again at once,
    and a ball that does not rise any more does not fall through the ground.
    """
    happening = task.happening
    if not len(happening.places):
        return signs, place.near, place.pending
    still = (meeting.t, meeting.u, after, place.t, happening.conditions, task.equation[:2])
    t, u, after, start, conditions, equation = jax.lax.stop_gradient(still)
    field, parameters = equation
    before = conditions(t, u)
    slope = field(t, after, parameters)
    values, slopes = jax.jvp(conditions, (t, after), (jnp.ones_like(t), slope))
    toward = jnp.sign(slopes * jnp.sign(task.span[1] - task.span[0]))
    fired = meeting.met & (np.arange(len(before), dtype=np.int32) == meeting.which)
    here = fired | (place.near & (t == start))
    room = jnp.maximum(4 * jnp.abs(before), rounding(task) * jnp.abs(slopes))
    near = here & (jnp.abs(values) <= room)
    now = jnp.where(values == 0, toward, jnp.sign(values))
    now = jnp.where(near, jnp.where(toward == 0, signs, toward), now)
    watch = lean.Watch(conditions, happening.directions, signs)
    others = lean.reached(watch, signs, before) & ~here
    pending = jnp.where(place.pending.any(), place.pending, others)
    return jax.lax.stop_gradient(now), near, pending & ~fired


def _wanted(task: Task, place: Place, attempt: Any, end: jax.Array, ended: jax.Array) -> Any:
    """The wanted states so far: at an event that after it, beyond the end that at the end."""
    if task.ts is None:
        return None
    here = is_over(task, place.t) & (~is_over(task, end) | ended)

    def chosen(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(here.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(chosen, attempt.solution.ys, place.ys)


def is_over(task: Task, t: jax.Array) -> Any:
    """(n,) whether the wanted times are not before `t`, or differ from it by rounding alone."""
    ts: Any = task.ts
    along = jnp.sign(task.span[1] - task.span[0]) * (ts - t)
    return jax.lax.stop_gradient(along) >= -rounding(task)


def rounding(task: Task) -> jax.Array:
    """By how much times may differ that are meant to be the same."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(task.span)))
    return 4 * float(jnp.finfo(task.span.dtype).eps) * largest


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
