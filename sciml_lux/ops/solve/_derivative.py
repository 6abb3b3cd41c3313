"""The derivative of a solve: of the steps that it took, with their lengths as constants."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._across_batch import largest_in_batch
from ._dynamic_scan import dynamic_scan, linear_scan
from ._ended import Tried
from ._given import Given, Options, Steering
from ._loop import number_reached, places_of, run
from ._own_derivative import Tangents, with_own_derivative
from ._record import Record, order_of, rows_of, step_of_row
from ._rows import row_of, with_row
from ._step import (
    Field,
    Leaves,
    Stages,
    Table,
    advanced,
    end_of_step,
    in_line,
    inside,
    no_stages,
    no_stages_in_line,
    put,
    stage,
    table_of,
)

_STILL = object()
"""In the place of a tangent that is 0."""

ParametricField = Callable[[list[jax.Array], jax.Array, Leaves], Leaves]
"""du/dt of parameters, a time and the leaves of a state."""


class Found(NamedTuple):
    """The result of a solve.

    Attributes:
        y1: the state at the end, or where it stopped.
        ys: the states at the wanted times; NaN after it stopped.
        s: the fraction of t1 - t0 that was done.
        accepted: steps.
        tried: what it has tried, and would try next.
        result: why it ended.
        record: of the steps, or None.
    """

    y1: Leaves
    ys: Leaves
    s: jax.Array
    accepted: jax.Array
    tried: Tried
    result: jax.Array
    record: Record | None


def solved(
    field: ParametricField, options: Options, remember: bool, given: Given, steering: Steering
) -> Any:
    """The solve, `Found`, which has every derivative by `given`.

    Args:
        field: what is solved.
        options: what is known before.
        remember: whether the record is wanted.
        given: what it depends on.
        steering: what its steps depend on.
    """
    function = functools.partial(_taken, field, options, remember)
    tree = jax.tree.structure((given, steering))
    rule = functools.partial(_moved, field, options, remember, tree)
    return with_own_derivative(function, rule, given, steering)


def _taken(
    field: ParametricField, options: Options, remember: bool, given: Given, steering: Steering
) -> Found:
    end = run(functools.partial(field, given.parameters), options, given, steering, remember)
    ys = [kept[:-1] for kept in end.ys]
    return Found(end.y, ys, end.s, end.accepted, end.tried, end.result, end.record)


def _moved(
    field: ParametricField,
    options: Options,
    remember: bool,
    tree: Any,
    operands: Sequence[jax.Array],
    tangents: Tangents,
) -> tuple[list[jax.Array], Tangents]:
    """The rule: the tangents of the recorded steps."""
    given, steering = tree.unflatten(operands)
    found = solved(field, options, True, given, steering)
    tangent, _ = tree.unflatten(tangents)
    dy1, dys, states = _replayed(field, options, remember, found.record, given, tangent)
    still = jax.tree.map(lambda _: _STILL, found)
    record = still.record._replace(states=states) if remember else None
    moved = still._replace(y1=dy1, ys=dys, record=record)
    results = found if remember else found._replace(record=None)
    leaves = (None if t is _STILL else t for t in jax.tree.leaves(moved))
    return jax.tree.leaves(results), list(leaves)


def _replayed(
    field: ParametricField,
    options: Options,
    remember: bool,
    record: Record,
    given: Given,
    tangent: Given,
) -> tuple[Leaves, Leaves, Leaves]:
    """The tangents of the state at the end, at the wanted times, and at the starts of rows."""
    rows, longest = rows_of(options.max_steps, options.capacity)
    fixed, moved = _flat(given), _flat(tangent)
    flags = [t is not None for t in moved]
    linear = list(itertools.compress(moved, flags))
    replay = Replay(field, options, flags, remember)
    places = jax.lax.stop_gradient(places_of(given))
    constants = (fixed, places, record.lengths, record.steps, record.stride)
    thinned = longest > 1
    order = order_of(record, rows) if thinned else None
    length = rows + int(thinned)
    start = [_instantiated(dy, y) for dy, y in zip(tangent.y0, given.y0, strict=True)]
    saved = [jnp.zeros((len(places), *y.shape), y.dtype) for y in given.y0]
    count = jax.lax.div(record.steps + record.stride - 1, record.stride)
    bodies = [(replay.row, count)] if thinned else [(replay.single, count)]
    if thinned and options.by_components:
        # Rows of one step, as most have, do without the loops of the others.
        ones = jnp.where(record.stride == 1, count, 0)
        bodies = [(replay.single, ones), (replay.row, count - ones)]
    carry, states = (linear, start, saved if len(places) else []), []
    for body, number in bodies:
        carry, found = linear_scan(
            body,
            number,
            constants,
            (np.arange(length, dtype=np.int32), record.starts, record.states),
            carry,
            (),
            length=length,
            order=order,
        )
        states.append(found)
    return carry[1], carry[2], jax.tree.map(lambda *rows: sum(rows), *states)


def _flat(given: Given) -> list[jax.Array]:
    return [given.t0, given.t1, given.ts, *given.parameters]


def _given(flat: Sequence[jax.Array], y0: Leaves) -> Given:
    t0, t1, ts, *parameters = flat
    return Given(t0, t1, ts, y0, parameters)


def _instantiated(tangent: jax.Array | None, like: jax.Array) -> jax.Array:
    return jnp.zeros_like(like) if tangent is None else tangent


def added(rows: Leaves, number: Any, values: Leaves) -> Leaves:
    """`rows`, 0 at this number, with the values there.

    As a sum, so that its transpose reads the row and leaves all rows alone. A number beyond the
    last row adds nothing.
    """
    return [r.at[number].add(v, mode="drop") for r, v in zip(rows, values, strict=True)]


class Replay:
    """The recorded steps, taken again, and their tangents.

    Args:
        field: what is solved.
        options: of the solve.
        flags: which of the leaves of `_flat` move.
        remember: whether the tangents at the starts of rows are wanted.
    """

    def __init__(
        self, field: ParametricField, options: Options, flags: list[bool], remember: bool
    ) -> None:
        self.field = field
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
        end = end_of_step(field, self.options.tableau, t, h, y, self.options.by_components)
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
        stages, (linear, dy, dstages) = self._stages(here, most if dys else None, linear, dy)

        def end(moving: list[jax.Array], y: Leaves, stages: Leaves) -> Leaves:
            given = _given(self._merged(moving, fixed), y)
            h = length * (given.t1 - given.t0)
            return advanced(y, h, self.options.tableau.float64.b[: self.count], stages)

        dy1 = self._jvp(end, fixed, (y, stages), linear, (dy, dstages))
        if dys:
            (linear, *_, dys), _ = linear_scan(
                self.saved,
                most,
                (here, before, wanted, stages),
                np.arange(len(places), dtype=np.int32),
                (linear, dy, dstages, dys),
                (),
                length=len(places),
            )
        return (linear, dy1, dys), ()

    def _stages(
        self, here: PyTree, wanted: jax.Array | None, linear: list[jax.Array], dy: Leaves
    ) -> tuple[Leaves, PyTree]:
        """The stages of a step, and their tangents after those that they depend on.

        With a number of wanted states, if there are any, those of the solution inside too.
        """
        y = here[-1]
        table, total = table_of(self.options.tableau, y), self.count
        if wanted is not None:
            total = len(table.c)
        table = table.rows(0, total, total)
        if self.options.written_out or self.options.by_components:
            return self._written_out(here, wanted, table, linear, dy)
        n, room = jnp.int32(self.count), no_stages(total, y)
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
            none = no_stages_in_line(y) if self.options.by_components else no_stages(0, y)
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
        field = functools.partial(self.field, given.parameters)
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
