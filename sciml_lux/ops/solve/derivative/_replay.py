"""The recorded steps, taken again, and their tangents."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..forward._loop import Given, Options, number_reached, places_of
from ..loops._across_batch import largest_in_batch
from ..loops._dynamic_scan import dynamic_scan, linear_scan
from ..loops._rows import row_of, with_row
from ..steps._all_stages import all_stages, end_of_step
from ..steps._form import Form, arrays
from ..steps._mass import field_with
from ..steps._record import rows_of, step_of_row
from ..steps._step import (
    Field,
    Leaves,
    Stages,
    Table,
    advanced,
    in_line,
    inside,
    no_stages,
    no_stages_in_line,
    put,
    stage,
    table_of,
)
from ..tableaus._rosenbrock import Rosenbrock


def flat(given: Given) -> list[jax.Array]:
    """What a solve is differentiated with respect to, but the state."""
    return [given.t0, given.t1, given.ts, *given.parameters]


def _given(flat: Sequence[jax.Array], y0: Leaves) -> Given:
    t0, t1, ts, *parameters = flat
    return Given(t0, t1, ts, y0, parameters)


def added(rows: Leaves, number: Any, values: Leaves) -> Leaves:
    """`rows`, 0 at this number, with the values there.

    As a sum, so that its transpose reads the row and leaves all rows alone. A number beyond the
    last row adds nothing.
    """
    return [r.at[number].add(v, mode="drop") for r, v in zip(rows, values, strict=True)]


class Inside(NamedTuple):
    """The wanted states inside a step.

    Attributes:
        places: of all wanted states, as parts of the whole.
        before: the number of those before the step.
        wanted: the number of those inside.
        most: the largest such number of a batch.
    """

    places: jax.Array
    before: jax.Array
    wanted: jax.Array
    most: jax.Array


class Replay:
    """The recorded steps, taken again, and their tangents.

    Args:
        form: of the field.
        options: of the solve.
        flags: which of the leaves of `flat` move.
        remember: whether the tangents at the starts of rows are wanted.
    """

    def __init__(self, form: Form, options: Options, flags: list[bool], remember: bool) -> None:
        self.form = form
        self.options = options
        self.flags = flags
        self.remember = remember
        self.rows, self.longest = rows_of(options.max_steps, options.capacity)
        self.count = options.tableau.num_stages - int(options.tableau.fsal)

    def single(self, constants: PyTree, row: PyTree, carry: PyTree, _: PyTree) -> Any:
        """A row of one step."""
        fixed, places, lengths, *_ = constants
        number, start, y = row
        length = row_of(lengths, number)
        moved, _ = self.tangent((fixed, places), (start, length, y), carry, ())
        return moved, carry[1] if self.remember else ()

    def row(self, constants: PyTree, row: PyTree, carry: PyTree, _: PyTree) -> Any:
        """A row of a stride of steps: gone through once more, then the tangents."""
        fixed, places, lengths, count, stride = constants
        number, start, y = row
        first = step_of_row(number, stride, self.rows)
        steps = jnp.minimum(stride, count - first)
        steps_ahead = np.arange(self.longest, dtype=np.int32)
        lengths = lengths.at[first + steps_ahead].get(mode="clip")
        last, before = dynamic_scan(
            self.step, steps - 1, fixed, lengths, (start, y), length=self.longest
        )
        starts, states = jax.tree.map(lambda rows, v: with_row(rows, v, steps - 1), before, last)
        moved, _ = linear_scan(
            self.tangent,
            steps,
            (fixed, places),
            (starts, lengths, states),
            carry,
            (),
            length=self.longest,
        )
        return moved, carry[1] if self.remember else ()

    def step(self, fixed: list[jax.Array], length: jax.Array, carry: PyTree) -> Any:
        """One step, and its start."""
        start, y = carry
        field, t, h, _ = self._step((fixed, start, length, y))
        end = end_of_step(field, self.options.tableau, t, h, y, self.form.by_components)
        return (start + length, end), carry

    def tangent(self, constants: PyTree, row: PyTree, carry: PyTree, _: PyTree) -> Any:
        """The tangent after a step, of the one before it; and of the wanted states inside."""
        fixed, places = constants
        start, length, y = row
        linear, dy, dys = carry
        before = jnp.where(start > 0, number_reached(places, start), 0)
        wanted = jnp.where(length > 0, number_reached(places, start + length) - before, 0)
        most = largest_in_batch(wanted)
        here = (fixed, start, length, y)
        where, together = Inside(places, before, wanted, most), not self.form.by_components
        if dys and not together:
            dys = self._states_of_arrays(here, where, linear, dy, dys)
        inside = most if dys and together else None
        stages, (linear, dy, dstages) = self._stages(here, inside, self.count, linear, dy)

        def end(moving: list[jax.Array], y: Leaves, stages: Leaves) -> Leaves:
            given = _given(self._merged(moving, fixed), y)
            h = length * (given.t1 - given.t0)
            return advanced(y, h, self.options.tableau.float64.b[: self.count], stages)

        dy1 = self._jvp(end, fixed, (y, stages), linear, (dy, dstages))
        if inside is not None:
            linear, *_, dys = self._states(here, where, stages, (linear, dy, dstages, dys))
        return (linear, dy1, dys), ()

    def _states(self, here: PyTree, where: Inside, stages: Leaves, moved: PyTree) -> Any:
        """What moves, with the tangents of the wanted states inside a step in their rows."""
        count = len(where.places)
        rows, constants = np.arange(count, dtype=np.int32), (here, *where[1:3], stages)
        moved, _ = linear_scan(self.saved, where.most, constants, rows, moved, (), length=count)
        return moved

    def _states_of_arrays(
        self, here: PyTree, where: Inside, linear: list[jax.Array], dy: Leaves, dys: Leaves
    ) -> Leaves:
        """The tangents of the wanted states, for which the step is taken once more, of arrays."""
        (fixed, start, length, y), form = here, self.form
        rest = iter(linear)
        dfixed = [next(rest) if f else None for f in self.flags]
        dwhole = dfixed[:3] + form.parameter_tangents(dfixed[3:], fixed[3:])
        flags = [d is not None for d in dwhole]
        replay = Replay(arrays(form.whole), self.options, flags, remember=False)
        whole = (fixed[:3] + form.parameters(fixed[3:]), start, length, form.states(y))
        moving = [d for d in dwhole if d is not None]
        stages, moved = replay._stages(whole, where.most, 0, moving, form.states(dy))
        return replay._states(whole, where, stages, (*moved, dys))[-1]

    def _stages(
        self,
        here: PyTree,
        wanted: jax.Array | None,
        least: int,
        linear: list[jax.Array],
        dy: Leaves,
    ) -> tuple[Leaves, PyTree]:
        """The first stages of a step, and their tangents after those that they depend on.

        With a number of wanted states, if there are any, those of the solution inside too.
        """
        y = here[-1]
        table, total = table_of(self.options.tableau, y), self.count
        if wanted is not None:
            total = len(table.c)
        table = table.rows(0, total, total)
        if self.options.written_out or self.form.by_components:
            return self._written_out(here, wanted, table, linear, dy)
        n, room = jnp.int32(least), no_stages(total, y)
        if wanted is not None:
            n = jnp.where(wanted > 0, total, n)
        # The last stage is not read but for the derivative by the length of the step.
        unread = int(not any(self.flags[:3]))
        stages, _ = dynamic_scan(self.stage, n - unread, here, table, room, length=total)
        constants, carry = (here, stages), (linear, dy, room)
        moved, _ = linear_scan(self.stage_tangent, n, constants, table, carry, (), length=total)
        return stages, moved

    def _written_out(
        self,
        here: PyTree,
        wanted: jax.Array | None,
        table: Table,
        linear: list[jax.Array],
        dy: Leaves,
    ) -> tuple[Leaves, PyTree]:
        """As above without loops: a stage is evaluated once, for its value and its tangent."""
        fixed, start, length, y = here

        def stages_of(moving: list[jax.Array], y: Leaves) -> Stages:
            own = self._merged(moving, fixed)
            none = no_stages_in_line(y) if self.form.by_components else no_stages(0, y)
            stages = self._in_turn((own, start, length, y), table, none, self.count)
            if wanted is None:
                return stages
            # Where no state inside is wanted the field need not be defined at their stages.
            reach = jnp.where(wanted > 0, length, 0.0)
            return self._in_turn((own, start, reach, y), table, stages, len(table.c))

        moving = list(itertools.compress(fixed, self.flags))
        stages, dstages = jax.jvp(stages_of, (moving, y), (linear, dy))
        return stages, (linear, dy, dstages)

    def _in_turn(self, here: PyTree, table: Table, stages: Stages, stop: int) -> Stages:
        """`stages` and those that follow, until before `stop`."""
        tableau = self.options.tableau
        if isinstance(tableau, Rosenbrock):
            return stages if len(stages[0]) else all_stages(tableau, *self._step(here))
        return in_line(*self._step(here), table, stages, stop)

    def stage(self, here: PyTree, line: Table, stages: Leaves) -> Any:
        """One stage put in its row."""
        return put(stages, line.number, self._stage(here, line, stages)), ()

    def stage_tangent(self, constants: PyTree, line: Table, carry: PyTree, _: PyTree) -> Any:
        """The tangent of one stage put in its row."""
        (fixed, start, length, y), stages = constants
        linear, dy, dstages = carry

        def at(moving: list[jax.Array], y: Leaves, stages: Leaves) -> Leaves:
            return self._stage((self._merged(moving, fixed), start, length, y), line, stages)

        found = self._jvp(at, fixed, (y, stages), linear, (dy, dstages))
        return (linear, dy, added(dstages, line.number, found)), ()

    def _stage(self, here: PyTree, line: Table, stages: Leaves) -> Leaves:
        return stage(*self._step(here), line, stages)

    def _step(self, here: PyTree) -> tuple[Field, jax.Array, jax.Array, Leaves]:
        """The field, and of a step its start, its length and the state there."""
        fixed, start, length, y = here
        given = _given(fixed, y)
        span = given.t1 - given.t0
        field = field_with(self.form.field, given.parameters)
        return field, given.t0 + start * span, length * span, y

    def saved(self, constants: PyTree, number: jax.Array, carry: PyTree, _: PyTree) -> Any:
        """The tangent of one wanted state put in its row."""
        (fixed, start, length, y), before, wanted, stages = constants
        linear, dy, dstages, dys = carry
        count = len(dys[0])
        at = jnp.minimum(before + number, count - 1)

        def value(moving: list[jax.Array], y: Leaves, stages: Leaves) -> Leaves:
            given = _given(self._merged(moving, fixed), y)
            given = given._replace(ts=given.ts[at])
            place = places_of(given)
            fraction = (place - start) / jnp.where(length == 0, 1.0, length)
            span = given.t1 - given.t0
            # In a solve of no length the state still moves with the wanted time.
            h = jnp.where(span == 0, given.ts - given.t0, length * span)
            return inside(self.options.tableau, fraction, h, y, stages)

        dvalue = self._jvp(value, fixed, (y, stages), linear, (dy, dstages))
        row = jnp.where(number < wanted, at, count)
        return (linear, dy, dstages, added(dys, row, dvalue)), ()

    def _jvp(
        self,
        function: Callable[..., Leaves],
        fixed: Sequence[jax.Array],
        others: tuple[Leaves, ...],
        linear: list[jax.Array],
        moved: tuple[Leaves, ...],
    ) -> Leaves:
        """The tangent of `function` of what moves of `fixed`, and of `others`."""
        moving = list(itertools.compress(fixed, self.flags))
        return jax.jvp(function, (moving, *others), (linear, *moved))[1]

    def _merged(self, moving: Sequence[jax.Array], fixed: Sequence[jax.Array]) -> list[jax.Array]:
        rest = iter(moving)
        return [next(rest) if f else v for f, v in zip(self.flags, fixed, strict=True)]
