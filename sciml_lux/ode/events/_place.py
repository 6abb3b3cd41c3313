"""How far a solve with events has come, and what happened there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..engines._engine import Engine
from ..equation._equation import Equation
from ..method._method import Method
from ..problem._step import Step
from ..solution._results import RESULTS
from ._happening import Happening


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
        met: int32, how many events that are not preset happened.
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
    met: jax.Array
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


class Meeting(NamedTuple):
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


def is_over(task: Task, t: jax.Array) -> Any:
    """(n,) whether the wanted times are not before `t`, or differ from it by rounding alone."""
    ts: Any = task.ts
    along = jnp.sign(task.span[1] - task.span[0]) * (ts - t)
    return jax.lax.stop_gradient(along) >= -rounding(task)


def rounding(task: Task) -> jax.Array:
    """By how much times may differ that are meant to be the same."""
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(task.span)))
    return 4 * float(jnp.finfo(task.span.dtype).eps) * largest
