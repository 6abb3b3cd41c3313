"""What an event changes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...ops import internal as lean
from ..equation._with_cost import state_of
from ..solution._results import RESULTS
from ._happening import Happening
from ._place import Meeting, Place, Row, Task, is_over, rounding


def after_event(
    task: Task,
    place: Place,
    meeting: Meeting,
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
    met = place.met + (happens & meeting.met).astype(jnp.int32)
    too_many = met > happening.max_events
    place = place._replace(
        t=meeting.t,
        u=u,
        signs=signs,
        last=jnp.where(meeting.met, meeting.which, -1),
        near=near,
        pending=pending,
        preset=place.preset + preset.astype(jnp.int32),
        met=met,
        ended=ended,
        result=RESULTS.where(too_many, RESULTS.max_events_reached, place.result),
        ys=ys,
    )
    return place, row


def _event(happening: Happening, place: Place, meeting: Meeting, happens: jax.Array) -> jax.Array:
    """The place of what happens among the events; -1 for nothing."""
    nothing = np.full(1, -1, np.int32)
    owners = jnp.append(happening.preset_places, nothing)
    events = jnp.append(jnp.asarray(happening.places), nothing)
    event = jnp.where(meeting.met, events[meeting.which], owners[place.preset])
    return jnp.where(happens, event, -1).astype(jnp.int32)


def _sides(
    task: Task, place: Place, meeting: Meeting, after: PyTree, signs: jax.Array
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
    toward = lean.sign(slopes * jnp.sign(task.span[1] - task.span[0]))
    fired = meeting.met & (np.arange(len(before), dtype=np.int32) == meeting.which)
    here = fired | (place.near & (t == start))
    room = jnp.maximum(4 * jnp.abs(before), rounding(task) * jnp.abs(slopes))
    near = here & (jnp.abs(values) <= room)
    now = jnp.where(values == 0, toward, lean.sign(values))
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
