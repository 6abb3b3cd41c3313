"""The record of the steps of a solve, from which it is differentiated.

It has the length of every step, and, of every stride-th step, the time and state at its start, in a
row. The stride is 1 until the rows are full, and doubles whenever they are, which frees half of
them. Step i has the row (i mod rows) + (i div rows): whatever the stride, no two steps that are
kept share a row, and nothing has to be moved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ....precision import accumulated
from ..loops._while_loop import with_line
from ._step import Leaves


class Record(NamedTuple):
    """The steps taken.

    Attributes:
        lengths: (max_steps,) the length of each step as a fraction of the whole; 0 for a rejected
            step.
        starts: (rows,) the fraction of the whole before each step that is kept.
        states: (rows, ...) the states at the starts of those.
        steps: the number of steps.
        stride: the distance between the steps that are kept.
    """

    lengths: jax.Array
    starts: jax.Array
    states: Leaves
    steps: jax.Array
    stride: jax.Array


SMALL_RECORD = 2**17
FEW_STATES = 128


def capacity_of(max_steps: int, clock: jax.Array, y0: Leaves) -> int:
    """How many states to record: all where that is little memory, which is faster, or a few."""
    row = clock.dtype.itemsize + sum(y.size * y.dtype.itemsize for y in y0)
    return max_steps if max_steps * row <= SMALL_RECORD else FEW_STATES


def record_bytes(max_steps: int, t0: jax.Array, y0: PyTree) -> int:
    """The size of the record of a solve, for derivatives in reverse mode."""
    clock, leaves = accumulated(t0), [accumulated(y) for y in jax.tree.leaves(y0)]
    rows, longest = rows_of(max_steps, capacity_of(max_steps, clock, leaves))
    row = clock.dtype.itemsize + sum(y.size * y.dtype.itemsize for y in leaves)
    return max_steps * clock.dtype.itemsize + (rows + int(longest > 1)) * row


def rows_of(max_steps: int, capacity: int) -> tuple[int, int]:
    """The number of rows, and the longest stride: powers of two unless all steps fit.

    The stride must not exceed the rows, or steps would share one: many steps need more rows.
    """
    if max_steps <= capacity:
        return max_steps, 1
    rows = 1 << (capacity.bit_length() - 1)
    while rows * rows < max_steps:
        rows *= 2
    return rows, 1 << (-(-max_steps // rows) - 1).bit_length()


def empty(max_steps: int, capacity: int, clock: jnp.dtype, y0: Leaves) -> Record:
    """A record with room for `max_steps` steps."""
    rows, longest = rows_of(max_steps, capacity)
    rows += int(longest > 1)  # The last is for the steps that are not kept.
    states = [jnp.zeros((rows, *y.shape), y.dtype) for y in y0]
    zero = jnp.zeros((), jnp.int32)
    lengths = jnp.zeros(max_steps, clock)
    return Record(lengths, jnp.zeros(rows, clock), states, zero, zero + 1)


def remembered(
    record: Record, rows: int, length: jax.Array, start: jax.Array, state: Leaves, more: jax.Array
) -> Record:
    """The record with one more step.

    Args:
        record: the one before.
        rows: the number of rows, from `rows_of`.
        length: the length of the step, as a fraction of the whole.
        start: the fraction before it.
        state: the state at its start.
        more: whether the step stays; otherwise the next is written over it.
    """
    i = row = record.steps
    stride = record.stride
    if rows < len(record.lengths):
        stride = jnp.where(i >= rows * stride, 2 * stride, stride)
        row = jnp.where(jax.lax.rem(i, stride) == 0, row_of_step(i, rows), rows)
    return Record(
        with_line(record.lengths, length, i),
        with_line(record.starts, start, row),
        [with_line(kept, y, row) for kept, y in zip(record.states, state, strict=True)],
        i + more.astype(jnp.int32),
        stride,
    )


def row_of_step(step: jax.Array, rows: int) -> jax.Array:
    """The row of a step that is kept."""
    # Not negative: rem and div are % and // without the care for signs.
    return jax.lax.rem(step, jnp.int32(rows)) + jax.lax.div(step, jnp.int32(rows))


def step_of_row(row: jax.Array, stride: jax.Array, rows: int) -> jax.Array:
    """The step whose row it is."""
    turn = jax.lax.rem(row, stride)
    return row - turn + turn * rows


def order_of(record: Record, rows: int) -> jax.Array:
    """The rows in the order of the steps that they are of; the last row is none of them."""
    i = jnp.arange(rows + 1, dtype=jnp.int32)
    return jnp.where(i == rows, rows, jnp.minimum(row_of_step(i * record.stride, rows), rows - 1))
