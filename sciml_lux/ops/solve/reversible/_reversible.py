"""Reversible: a Runge-Kutta method whose steps can be undone."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..loops._dynamic_scan import dynamic_scan
from ..loops._rows import with_row
from ..steps._all_stages import all_stages
from ..steps._form import ParametricField
from ..steps._given import Given
from ..steps._step import Field, Leaves, weighted
from ..tableaus._tableau import Tableau
from ._grid import Grid


class Pair(NamedTuple):
    """The state of a reversible method: two solutions that are coupled, of which y is returned."""

    y: Leaves
    z: Leaves


class Reversible:
    """A Runge-Kutta method made reversible.

    With the move Ψ(t, h, y) of the method, y₁ = c y₀ + (1 - c) z₀ + Ψ(t, h, z₀) and
    z₁ = z₀ - Ψ(t + h, -h, y₁): both can be solved for y₀ and z₀.

    Args:
        field: what is solved.
        tableau: the method.
        coupling: c, above 0 and at most 1.

    Source: McCallum and Foster, Efficient, accurate and stable gradients for neural ODEs,
    arXiv 2410.11648.
    """

    def __init__(self, field: ParametricField, tableau: Tableau, coupling: float) -> None:
        self.field = field
        self.tableau = tableau
        self.coupling = coupling

    def step(self, given: Given, start: jax.Array, length: jax.Array, pair: Pair) -> Pair:
        """The pair after a step."""
        field, t, h = self._at(given, start, length)
        moves, coupled = self._moves(field, t, h, pair.z), self._coupled(length)
        y = [z + coupled(y) * (y - z) + m for y, z, m in zip(*pair, moves, strict=True)]
        back = self._moves(field, t + h, -h, y)
        return Pair(y, [z - b for z, b in zip(pair.z, back, strict=True)])

    def undone(self, given: Given, start: jax.Array, length: jax.Array, pair: Pair) -> Pair:
        """The pair before the step that led to this one."""
        field, t, h = self._at(given, start, length)
        back = self._moves(field, t + h, -h, pair.y)
        z = [z + b for z, b in zip(pair.z, back, strict=True)]
        moves, coupled = self._moves(field, t, h, z), self._coupled(length)
        y = [z + (y - z - m) / coupled(y) for y, z, m in zip(pair.y, z, moves, strict=True)]
        return Pair(y, z)

    def _at(self, given: Given, start: jax.Array, length: jax.Array) -> tuple[Field, Any, Any]:
        span = given.t1 - given.t0
        field = functools.partial(self.field, given.parameters)
        return field, given.t0 + start * span, length * span

    def _coupled(self, length: jax.Array) -> Callable[[jax.Array], jax.Array]:
        """The coupling of a step: 1 for one of no length, so that equal times have equal states."""
        coupling = jnp.where(length == 0, 1.0, self.coupling)
        return lambda y: coupling.astype(y.dtype)

    def _moves(self, field: Field, t: jax.Array, h: jax.Array, y: Leaves) -> Leaves:
        count = self.tableau.num_stages - int(self.tableau.fsal)
        stages = all_stages(self.tableau, field, t, h, y, count)
        return weighted(h, self.tableau.float64.b[:count], stages)

    def through(self, given: Given, grid: Grid) -> tuple[Pair, Leaves]:
        """The pair at the end, and the state at the wanted times."""

        def step(given: Given, row: Sequence[jax.Array], carry: PyTree) -> Any:
            pair, ys = carry
            start, length, save = row
            pair = self.step(given, start, length, pair)
            return (pair, [with_row(r, y, save) for r, y in zip(ys, pair.y, strict=True)]), ()

        room = [jnp.zeros((len(given.ts) + 1, *y.shape), y.dtype) for y in given.y0]
        (pair, ys), _ = dynamic_scan(
            step,
            grid.num_steps,
            given,
            grid[:3],
            (Pair(given.y0, given.y0), room),
            length=len(grid[0]),
        )
        return pair, [y[:-1] for y in ys]
