"""Leapfrog steps that were taken, once more, and their tangents."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..loops._dynamic_scan import dynamic_scan, linear_scan
from ..steps._record import SMALL_RECORD
from ..steps._step import Leaves
from ._composition import Composition
from ._halves import Halves
from ._leapfrog import Given, moves, part_of

Tangent = tuple[list[jax.Array], Leaves]
"""That of what moves of `fixed`, and that of the state."""


class Replay(NamedTuple):
    """The steps of a solve.

    Attributes:
        halves: of the field.
        composition: the method.
        flags: which of `fixed` move.
        fixed: t0, t1 and the parameters.
        steps: the number of steps.
    """

    halves: Halves
    composition: Composition
    flags: Sequence[bool]
    fixed: list[jax.Array]
    steps: jax.Array

    def stretch(
        self, first: jax.Array, count: jax.Array, y: Leaves, tangent: Tangent, longest: int
    ) -> Tangent:
        """The tangent after `count` leapfrog steps from that of number `first`, at the state `y`.

        A long stretch is cut into rows: in memory are the states at the starts of all rows, and
        those at all steps of one.

        Args:
            first: the number of the first.
            count: how many.
            y: the state before them.
            tangent: that before them.
            longest: the largest `count`.
        """
        rows, room = _rows_of(longest, y)
        if room == 1:
            return self._through(first, count, y, tangent, longest)
        stride = jnp.maximum(jax.lax.div(count + (rows - 1), jnp.int32(rows)), 1)
        number = jax.lax.div(count + stride - 1, stride)

        def place(row: jax.Array) -> tuple[jax.Array, jax.Array]:
            done = row * stride
            return first + done, jnp.minimum(stride, count - done)

        def row(_: PyTree, row: jax.Array, y: Leaves) -> tuple[Leaves, Leaves]:
            return self._again(*place(row), y, room)[0], y

        def row_tangent(_: PyTree, row: PyTree, carry: Tangent, __: PyTree) -> Any:
            return self._through(*place(row[0]), row[1], carry, room), ()

        numbers = np.arange(rows, dtype=np.int32)
        _, starts = dynamic_scan(row, number, (), numbers, y, length=rows)
        at = (numbers, starts)
        return linear_scan(row_tangent, number, (), at, tangent, (), length=rows)[0]

    def _through(
        self, first: jax.Array, count: jax.Array, y: Leaves, tangent: Tangent, room: int
    ) -> Any:
        """As `stretch`, with the states at all steps in memory."""

        def one(_: PyTree, row: PyTree, carry: Tangent, __: PyTree) -> tuple[Tangent, tuple]:
            return self._tangent(first + row[0], row[1], carry), ()

        at = (np.arange(room, dtype=np.int32), self._again(first, count, y, room)[1])
        return linear_scan(one, count, (), at, tangent, (), length=room)[0]

    def _again(
        self, first: jax.Array, count: jax.Array, y: Leaves, room: int
    ) -> tuple[Leaves, Leaves]:
        """The state after these steps, and those before each."""

        def one(_: PyTree, number: jax.Array, y: Leaves) -> tuple[Leaves, Leaves]:
            return self._step(self.fixed, first + number, y), y

        return dynamic_scan(one, count, (), np.arange(room, dtype=np.int32), y, length=room)

    def _tangent(self, number: jax.Array, y: Leaves, tangent: Tangent) -> Tangent:
        def after(moving: list[jax.Array], y: Leaves) -> Leaves:
            rest = iter(moving)
            pairs = zip(self.flags, self.fixed, strict=True)
            return self._step([next(rest) if flag else v for flag, v in pairs], number, y)

        moving = list(itertools.compress(self.fixed, self.flags))
        return tangent[0], jax.jvp(after, (moving, y), tangent)[1]

    def _step(self, fixed: list[jax.Array], number: jax.Array, y: Leaves) -> Leaves:
        t0, t1, *parameters = fixed
        part = part_of(self.composition, Given(t0, t1, y, parameters), number, self.steps)
        return moves(self.halves, parameters, part, y, [])[0]


def _rows_of(longest: int, y: Leaves) -> tuple[int, int]:
    """The number of rows of a stretch of at most so many steps, and the most steps in a row."""
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in y)
    if longest * size <= SMALL_RECORD:
        return longest, 1
    rows = 1 << -(-(longest - 1).bit_length() // 2)
    return rows, -(-longest // rows)
