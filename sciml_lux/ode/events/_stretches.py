"""A solve with events, stretch by stretch."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import Record, Static
from ...ops import internal as lean
from ...ops.internal import any_in_batch
from ..equation._with_cost import state_of
from ..solution._events import Events
from ..solution._final import Final
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution
from ._place import Counts, Place, Row, Task, goes_on, is_over
from ._stretch import stretch


def solve_with_events(task: Task, u0: PyTree) -> Attempt:
    """The solution of `task` from `u0`; a failed solve does not raise: its `result` says why."""
    place = _start(task, u0)
    count = task.happening.num_stretches
    if count == 1:
        place, row = stretch(task, place)
        rows = jax.tree.map(lambda leaf: leaf[None], row)
    else:
        place, rows = jax.lax.scan(lambda place, _: _next(task, place), place, None, count)
    unsound = RESULTS.preset_time_not_a_number
    result = RESULTS.where(task.happening.sound, place.result, unsound)
    events = _events(place, rows)
    t, final = place.t, Final(place.t, place.u)
    ts = t[None] if task.ts is None else task.ts
    ys = jax.tree.map(lambda u: u[None], place.u) if task.ts is None else _held(task, place)
    solution = Solution(ts, ys, _stats(task, place), result, None, final, events=events)
    return Attempt(solution, place.reached[1])


def _next(task: Task, place: Place) -> tuple[Place, Row]:
    """The next stretch, if there is one."""

    def none(place: Place) -> tuple[Place, Row]:
        u = state_of(place.u)
        return place, Row(place.t, jnp.full((), -1, jnp.int32), u, u)

    # Of a batch all take another where any does; that of those that have ended is not kept.
    def one(place: Place) -> tuple[Place, Row]:
        found = stretch(task, place)
        live = goes_on(place)
        return jax.tree.map(lambda new, old: jnp.where(live, new, old), found, none(place))

    return jax.lax.cond(any_in_batch(goes_on(place)), one, none, place)


def _start(task: Task, u0: PyTree) -> Place:
    happening, t0 = task.happening, task.span[0]
    zero, clock = jnp.zeros((), jnp.int32), task.span.dtype
    ys = None
    if task.ts is not None:
        n = len(task.ts)
        ys = jax.tree.map(lambda u: jnp.broadcast_to(u, (n, *u.shape)), u0)
    return Place(
        t=t0,
        u=u0,
        signs=_signs(task, u0),
        last=jnp.full((), -1, jnp.int32),
        near=jnp.zeros(len(happening.places), bool),
        pending=jnp.zeros(len(happening.places), bool),
        preset=zero,
        met=zero,
        ended=jnp.zeros((), bool),
        result=jax.tree.map(jnp.asarray, RESULTS.successful),
        ys=ys,
        # The slope, for the sides of the conditions.
        counts=Counts(zero, zero, zero + int(len(happening.places) > 0)),
        first=jnp.zeros((), clock),
        reached=jax.lax.stop_gradient((t0, u0)),
    )


def _signs(task: Task, u0: PyTree) -> jax.Array:
    """The side of 0 on which each condition is at t0, or to which it moves where it is 0."""
    conditions, (t0, t1) = task.happening.conditions, task.span
    if not len(task.happening.places):
        return jnp.zeros(0, task.span.dtype)
    field, parameters, *_ = task.equation
    slope = field(t0, u0, parameters)
    values, slopes = jax.jvp(conditions, (t0, u0), (jnp.ones_like(t0), slope))
    toward = lean.sign(slopes * jnp.sign(t1 - t0))
    signs = jnp.where(values == 0, toward, lean.sign(values))
    return jax.lax.stop_gradient(signs)


def _held(task: Task, place: Place) -> Any:
    """The wanted states, from the end on that at the end."""
    over = is_over(task, place.t)

    def held(ys: jax.Array, u: jax.Array) -> jax.Array:
        return jnp.where(over.reshape(-1, *(1,) * u.ndim), u, ys)

    return jax.tree.map(held, place.ys, place.u)


def _events(place: Place, rows: Row) -> Events:
    """What happened, and in rows without an event, the end."""
    happened = rows.which >= 0

    def filled(row: jax.Array, end: jax.Array) -> jax.Array:
        return jnp.where(happened.reshape(-1, *(1,) * end.ndim), row, end)

    end = state_of(place.u)
    return Events(
        filled(rows.t, place.t),
        rows.which,
        jax.tree.map(filled, rows.before, end),
        jax.tree.map(filled, rows.after, end),
        jnp.sum(happened, dtype=jnp.int32),
    )


def _stats(task: Task, place: Place) -> Record:
    counts, engine = place.counts, task.engine
    t = jax.lax.stop_gradient(place.t)
    counted = engine.counts_evaluations
    adjoint_of: Any = engine.adjoint  # Where it is None events are refused.
    adjoint = adjoint_of(task.equation, task.method, task.span, task.ts, place.u)
    return Record(
        num_steps=counts.steps,
        num_accepted_steps=counts.accepted,
        num_rejected_steps=counts.steps - counts.accepted,
        num_field_evaluations=counts.evaluations if counted else None,
        first_step=place.first if counted else None,
        time_reached=jnp.where(place.result == RESULTS.successful, t, place.reached[0]),
        engine=engine.name,
        adjoint=Static(type(adjoint).__name__),
    )
