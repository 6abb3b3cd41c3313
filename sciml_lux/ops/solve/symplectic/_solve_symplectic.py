"""solve_symplectic: the initial-value problem of a separable field, by symplectic steps."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ....precision import accumulated
from ..forward._loop import MAX_STEPS, SUCCESSFUL
from ..loops._rows import row_of
from ..steps._step import Leaves
from ._composition import Composition
from ._halves import Halves, halves_of
from ._leapfrog import Given, Part, moves, part_of
from ._states import Found, Options, Wanted, states_after

_MOST_STEPS = 2**31 - 128
"""The largest number of float32 that is one of int32."""


class SolvedSymplectic(NamedTuple):
    """The result of `solve_symplectic`.

    Attributes:
        y1: the state at t1, a tree like y0.
        ys: the states at `ts`, with a leading axis of their number; None without `ts`. Where t1 was
            not reached, these two and their derivatives are NaN.
        t: the time reached.
        y: the state there, finite and without derivatives.
        num_steps: int32, the steps that were taken.
        num_evaluations: int32, evaluations of dp/dt.
        step: the length of all steps.
        between: the state at a time, a function and a tree; None without `dense`. At times outside
            of the solve it is not a number.
        result: int32, why it ended: `SUCCESSFUL`, `MAX_STEPS`, or `DIVERGED`: the next state is not
            finite.
    """

    y1: PyTree
    ys: PyTree
    t: jax.Array
    y: PyTree
    num_steps: jax.Array
    num_evaluations: jax.Array
    step: jax.Array
    between: Callable[[jax.Array], PyTree] | None
    result: jax.Array


def solve_symplectic(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree],
    t0: jax.Array,
    t1: jax.Array,
    y0: tuple[PyTree, PyTree],
    args: PyTree = None,
    *,
    composition: Composition,
    dt0: ArrayLike,
    ts: jax.Array | None = None,
    max_steps: int = 4096,
    dense: bool = False,
) -> SolvedSymplectic:
    """y = (q, p) with dq/dt = f(t, p), dp/dt = g(t, q) and y(t0) = y0, by steps of equal length.

    These are the fewest that are not longer than dt0, up to rounding. A state between them is that
    of a shorter step of the same method, which the others do not depend on.

    Derivatives are as those of `solve`, of any order, and so are half precision and batches. A
    gradient repeats all steps twice, and remembers as many states as the root of their number.

    Args:
        field: of the time, the pair, and `args`; returns the pair of derivatives.
        t0: start; a scalar, whose dtype is that of all times.
        t1: end, before or after t0.
        y0: the pair (q, p) at t0, each a tree of floating or complex arrays.
        args: what the field gets, a tree of arrays.
        composition: the method.
        dt0: the length that no step exceeds.
        ts: (n,) times at which the state is wanted, in order from t0 to t1.
        max_steps: the number of steps after which it gives up.
        dense: whether the state at any time is wanted; then those after all steps are remembered.

    Raises:
        ValueError: the field is not separable.
    """
    leaves, tree = jax.tree.flatten(y0)
    halves, parameters = halves_of(field, jnp.asarray(t0), y0, args, composition.name)
    start, end = _wide([t0, t1])
    given = Given(start, end, _wide(leaves), _wide(parameters))
    steps = _number_of_steps(start, end, dt0)
    wanted = accumulated(jnp.zeros(0, start.dtype) if ts is None else jnp.asarray(ts))
    before = _step_before(given, steps, wanted)
    numbers = np.arange(max_steps, dtype=np.int32) if dense else before
    numbers = jnp.minimum(jnp.append(numbers, steps), jnp.minimum(steps, max_steps))
    longest = composition.number * (1 if dense else max_steps)
    options = Options(halves, composition, longest)
    found = states_after(options, given, Wanted(steps, numbers * composition.number))
    inside = _Inside(halves, composition)

    def rounded(ys: Leaves) -> PyTree:
        return tree.unflatten([y.astype(x.dtype) for y, x in zip(ys, leaves, strict=True)])

    def between(given: Given, steps: jax.Array, states: Leaves, t: jax.Array) -> PyTree:
        return rounded(inside.between(given, steps, states, t.astype(start.dtype)))

    rows = [states[before if dense else slice(-1)] for states in found.states]
    ys = jax.vmap(inside.state, (None, None, 0, 0, 0))(given, steps, before, rows, wanted)
    told = _told(composition, given, steps, found, max_steps)
    # A product, so that the derivatives of a failed solve are not numbers either.
    valid = jnp.where(told.result == SUCCESSFUL, 1.0, jnp.nan)
    y1 = [states[-1] for states in found.states]
    y1, ys = (rounded([y * valid.astype(y.dtype) for y in ys]) for ys in (y1, ys))
    extra = jnp.int32(composition.number * len(wanted))
    return told._replace(
        y1=y1,
        ys=None if ts is None else ys,
        t=told.t.astype(jnp.result_type(t0)),
        y=rounded(told.y),
        num_evaluations=told.num_evaluations + extra,
        between=Partial(between, given, steps, found.states) if dense else None,
    )


def _told(
    composition: Composition, given: Given, steps: jax.Array, found: Found, max_steps: int
) -> SolvedSymplectic:
    """What is known of a solve, without its states."""
    given, number = jax.lax.stop_gradient(given), found.number
    count = jnp.int32(composition.number)
    goal = jnp.minimum(steps, max_steps) * count
    result = jnp.where(steps > max_steps, MAX_STEPS, SUCCESSFUL)
    result = jnp.where(number < goal, found.result, result)
    there = part_of(composition, given, number, steps)
    return SolvedSymplectic(
        y1=None,
        ys=None,
        t=jnp.where(result == SUCCESSFUL, given.t1, there.t + there.start * there.h),
        y=list(map(jax.lax.stop_gradient, found.reached)),
        num_steps=jax.lax.div(number + count - 1, count),
        num_evaluations=number + (number < goal).astype(jnp.int32),
        step=jnp.abs(there.h),
        between=None,
        result=result.astype(jnp.int32),
    )


class _Inside(NamedTuple):
    """The solution between steps of equal length.

    Attributes:
        halves: the field.
        composition: the method.
    """

    halves: Halves
    composition: Composition

    def state(
        self, given: Given, steps: jax.Array, number: jax.Array, y: Leaves, t: jax.Array
    ) -> Leaves:
        """The state at `t`, from that after so many of all steps."""
        clock, composition = given.t0.dtype, self.composition
        start = given.t0 + (number.astype(clock) / steps.astype(clock)) * (given.t1 - given.t0)

        def move(y: Leaves, place: tuple[jax.Array, jax.Array]) -> tuple[Leaves, None]:
            part = Part(start, t - start, *place)
            return moves(self.halves, given.parameters, part, y, [])[0], None

        places = jnp.asarray(composition.starts, clock), jnp.asarray(composition.weights, clock)
        return jax.lax.scan(move, y, places)[0]

    def between(self, given: Given, steps: jax.Array, states: Leaves, t: jax.Array) -> Leaves:
        """The state at `t`, from those after all steps; not a number outside of the solve."""
        ends = jnp.stack([given.t0, given.t1])
        room = 4 * float(jnp.finfo(ends.dtype).eps) * jnp.max(jnp.abs(ends))
        is_there = (jnp.min(ends) - room <= t) & (t <= jnp.max(ends) + room)
        number = _step_before(given, steps, t)
        found = self.state(given, steps, number, [row_of(rows, number) for rows in states], t)
        return [y * jnp.where(is_there, 1.0, jnp.nan).astype(y.dtype) for y in found]


def _step_before(given: Given, steps: jax.Array, t: jax.Array) -> jax.Array:
    """How many of all steps end at or before `t`."""
    start, end, t = jax.lax.stop_gradient((given.t0, given.t1, t))
    span = jnp.where(end == start, 1.0, end - start)
    number = jnp.floor((t - start) / span * steps.astype(start.dtype))
    return jnp.clip(number.astype(jnp.int32), 0, steps)


def _number_of_steps(start: jax.Array, end: jax.Array, dt0: ArrayLike) -> jax.Array:
    """How many steps of equal length, not above `dt0` but for rounding, lead from start to end."""
    start, end = jax.lax.stop_gradient((start, end))
    dt0 = jax.lax.stop_gradient(jnp.asarray(dt0, start.dtype))
    whole = jnp.abs(end - start) / jnp.abs(dt0)
    room = 8 * float(jnp.finfo(start.dtype).eps)
    return jnp.clip(jnp.ceil(whole * (1 - room)), 1, _MOST_STEPS).astype(jnp.int32)


def _wide(values: Sequence[Any]) -> list[jax.Array]:
    """The values, those in half precision in the dtype of their sums."""
    return [accumulated(jnp.asarray(value)) for value in values]
