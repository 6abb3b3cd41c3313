"""What a solve remembers of its steps, so that it can be differentiated.

The length of each step; and of some, its number a multiple of the stride, the time and state at its
start, in rows. The stride is 1 until the rows are full, and doubles whenever they are: half of them
are then free. Row (i mod rows) + (i div rows) is that of step i; whatever the stride, no two of the
steps that are kept have the same, and nothing is moved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ._step import Leaves


class Record(NamedTuple):
    """The steps taken.

    Attributes:
        lengths: (max_steps,) of each step as a part of the whole; 0 for a step not accepted.
        starts: (rows,) the part of the whole that had passed, for the steps that are kept.
        states: the states then, (rows, ...).
        steps: how many.
        stride: of the steps that are kept.
    """

    lengths: jax.Array
    starts: jax.Array
    states: Leaves
    steps: jax.Array
    stride: jax.Array


def rows_of(max_steps: int, capacity: int) -> tuple[int, int]:
    """How many rows there are, and the longest stride: powers of two unless all steps fit.

    The stride never exceeds the rows, as their order needs: for many steps rows are added.
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
    """The record with one step more.

    Args:
        record: before.
        rows: of `rows_of`.
        length: of the step, as a part of the whole.
        start: the part that had passed.
        state: the state then.
        more: whether the next step is another one; else it is written over this one.
    """
    i = record.steps
    stride = jnp.where(i >= rows * record.stride, 2 * record.stride, record.stride)
    row = jnp.where(jax.lax.rem(i, stride) == 0, row_of_step(i, rows), rows)
    put = jax.lax.dynamic_update_index_in_dim
    return Record(
        put(record.lengths, length, i, 0),
        put(record.starts, start, row, 0),
        [put(kept, y, row, 0) for kept, y in zip(record.states, state, strict=True)],
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
