"""One step of an explicit Runge-Kutta method, and the solution inside it; leaf by leaf.

Stages come one after the other in a loop, so that the field is in a program once and not once for
each stage: most of the time of a first call is XLA's, for the copies. By components they are in
line, which XLA makes one loop of.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..loops._rows import with_row
from ..tableaus._interpolation_weights import interpolation_weights
from ..tableaus._tableau import Tableau

Leaves = list[jax.Array]
Stages = Leaves | list[list[jax.Array]]
"""Of each leaf, an array with a row for each stage; or in line, a list of them."""

Field = Callable[[jax.Array, Leaves], Leaves]
"""du/dt of the leaves of a state, at a time."""


class Table(NamedTuple):
    """What is done at each stage, a row for each; those of the solution inside a step last.

    Attributes:
        number: of the stage.
        a: weights of the stages before.
        c: node.
    """

    number: np.ndarray | jax.Array
    a: np.ndarray | jax.Array
    c: np.ndarray | jax.Array

    def rows(self, start: int, stop: int, room: int) -> "Table":
        """Those of the stages from `start` to before `stop`, with weights for `room` stages."""
        return Table(self.number[start:stop], self.a[start:stop, :room], self.c[start:stop])


def table_of(tableau: Tableau, y: Leaves) -> Table:
    """Of all stages, as exact as the widest leaf needs."""
    arrays, total = tableau.float64, len(tableau.float64.p)
    a = np.zeros((total, total))
    a[: len(arrays.a), : len(arrays.a)] = arrays.a
    a[len(arrays.a) :, : arrays.extra_a.shape[1]] = arrays.extra_a
    c = np.concatenate([arrays.c, arrays.extra_c])
    widest = max((jnp.finfo(leaf.dtype).dtype for leaf in y), key=lambda dtype: dtype.itemsize)
    return Table(np.arange(total, dtype=np.int32), a.astype(widest), c.astype(widest))


def no_stages(count: int, y: Leaves) -> Leaves:
    """Room for the stages."""
    return [jnp.zeros((count, *leaf.shape), leaf.dtype) for leaf in y]


def no_stages_in_line(y: Leaves) -> list[list[jax.Array]]:
    """No stage, of each leaf: those that follow are appended, and no row is moved."""
    return [[] for _ in y]


def appended(stages: Stages, stage: Leaves) -> Stages:
    """`stages` with one more."""
    found: list[Any] = [
        [*all_, k] if isinstance(all_, list) else jnp.append(all_, k[None], axis=0)
        for all_, k in zip(stages, stage, strict=True)
    ]
    return found


def in_line(
    field: Field, t: jax.Array, h: jax.Array, y: Leaves, table: Table, stages: Stages, stop: int
) -> Stages:
    """`stages` and those that follow, until before `stop`, one after the other in the program."""
    for i in range(len(stages[0]), stop):
        line = Table(table.number[i], table.a[i, :i], table.c[i])
        stages = appended(stages, stage(field, t, h, y, line, stages))
    return stages


def put(stages: Leaves, number: ArrayLike, stage: Leaves) -> Leaves:
    """`stages` with `stage` in its row."""
    return [with_row(all_, k, number) for all_, k in zip(stages, stage, strict=True)]


def stage(
    field: Field, t: jax.Array, h: jax.Array, y: Leaves, line: Table, stages: Stages
) -> Leaves:
    """du/dt at one stage of the step from y at t over h, of the stages before it."""
    return field(t + h * line.c.astype(h.dtype), advanced(y, h, line.a, stages))


def with_stages(
    field: Field,
    t: jax.Array,
    h: jax.Array,
    y: Leaves,
    table: Table,
    stages: Leaves,
    start: int,
    stop: ArrayLike,
) -> Leaves:
    """`stages` with those from `start` to before `stop` in their rows."""
    room = len(stages[0])
    a, c = jnp.asarray(table.a[:, :room]), jnp.asarray(table.c)

    def one(i: jax.Array, stages: Leaves) -> Leaves:
        return put(stages, i, stage(field, t, h, y, Table(i, a[i], c[i]), stages))

    return jax.lax.fori_loop(np.int32(start), stop, one, stages)


def inside(
    tableau: Tableau, fraction: jax.Array, h: jax.Array, y: Leaves, stages: Stages
) -> Leaves:
    """The solution at t + fraction * h, from all stages, extra ones included."""
    weights = interpolation_weights(tableau.float64.chebyshev, fraction)
    return advanced(y, h, weights, stages)


def advanced(y: Leaves, h: jax.Array, weights: np.ndarray | jax.Array, stages: Stages) -> Leaves:
    """y + h Σ weightsᵢ stagesᵢ."""
    if not len(stages[0]):
        return y
    moves = weighted(h, weights, stages)
    return [leaf + move for leaf, move in zip(y, moves, strict=True)]


def weighted(h: jax.Array, weights: np.ndarray | jax.Array, stages: Stages) -> Leaves:
    """h Σ weightsᵢ stagesᵢ, over the weights that there are."""

    def leaf(stages: jax.Array | list[jax.Array]) -> jax.Array:
        if isinstance(stages, list):
            return h.astype(stages[0].dtype) * _sum(weights, stages)
        dtype = stages.dtype
        scale = jnp.expand_dims(jnp.asarray(weights, dtype), range(1, stages.ndim))
        return h.astype(dtype) * jnp.sum(scale * stages[: len(weights)], axis=0)

    return [leaf(k) for k in stages]


def _sum(weights: np.ndarray | jax.Array, stages: list[jax.Array]) -> jax.Array:
    """Σ weightsᵢ stagesᵢ, term by term, without those whose weight is known to be 0."""
    dtype, last = stages[0].dtype, min(len(weights), len(stages))
    kept = [i for i in range(last) if not (isinstance(weights, np.ndarray) and weights[i] == 0)]
    terms = [jnp.asarray(weights[i], dtype) * stages[i] for i in kept]
    return functools.reduce(jnp.add, terms) if terms else jnp.zeros_like(stages[0])
