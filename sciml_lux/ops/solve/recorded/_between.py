"""The solution between the steps of a solve that remembers them all."""

import jax
import jax.numpy as jnp

from ..loops._rows import row_of
from ..steps._all_stages import all_stages
from ..steps._form import ParametricField
from ..steps._given import Given
from ..steps._mass import field_with
from ..steps._record import Record
from ..steps._step import Leaves, inside
from ..tableaus._tableau import Tableau


def between(
    parametric: ParametricField,
    tableau: Tableau,
    given: Given,
    record: Record,
    s: jax.Array,
    t: jax.Array,
) -> Leaves:
    """The state at `t`: of the step there, which is taken again; not a number where there is none.

    Args:
        parametric: what was solved.
        tableau: the method.
        given: what the solve depends on.
        record: of every step.
        s: the fraction of t1 - t0 that was reached.
        t: a time.
    """
    span = given.t1 - given.t0
    whole = jnp.where(span == 0, 1.0, span)
    place = (t - given.t0) / whole
    # Not `clip`, which halves the derivative at both ends.
    place = jnp.where(place < 0, 0.0, jnp.where(place > 1, 1.0, place))
    taken = jnp.arange(len(record.starts), dtype=jnp.int32) < record.steps
    starts = jax.lax.stop_gradient(jnp.where(taken, record.starts, 2.0))
    reached = jnp.searchsorted(starts, jax.lax.stop_gradient(place), side="right")
    index = jnp.clip(reached - 1, 0, jnp.maximum(record.steps - 1, 0))
    start, length, *y = (row_of(rows, index) for rows in (starts, record.lengths, *record.states))
    field = field_with(parametric, given.parameters)
    at, h = given.t0 + start * span, length * span
    stages = all_stages(tableau, field, at, h, y)
    fraction = (place - start) / jnp.where(length == 0, 1.0, length)
    # In a solve of no length the state still moves with the time.
    fraction = jnp.where(span == 0, 1.0, fraction)
    states = inside(tableau, fraction, jnp.where(span == 0, t - given.t0, h), y, stages)
    room = 4 * float(jnp.finfo(span.dtype).eps) * jnp.maximum(jnp.abs(given.t0), jnp.abs(given.t1))
    is_there = (place <= s) & (jnp.abs(t - (given.t0 + place * span)) <= room)
    return [state * jnp.where(is_there, 1.0, jnp.nan).astype(state.dtype) for state in states]
