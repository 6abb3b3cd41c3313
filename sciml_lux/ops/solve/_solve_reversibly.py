"""solve_reversibly: a solve by steps that can be undone, differentiated in constant memory."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ._solve import solve
from ._solved import Solved
from .forward._loop import SUCCESSFUL
from .reversible._grid import grid_of
from .reversible._pulled import moved_with_times, pulled
from .reversible._reversible import Pair, Reversible
from .rules._with_pullback import with_pullback
from .steps._given import Given
from .steps._parametric import parametric_of, wide
from .steps._step import Leaves


def solve_reversibly(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree],
    t0: jax.Array,
    t1: jax.Array,
    y0: PyTree,
    args: PyTree = None,
    *,
    coupling: float = 0.999,
    ts: jax.Array | None = None,
    **options: Any,
) -> Solved:
    """y with dy/dt = field(t, y, args) and y(t0) = y0, by a method whose steps can be undone.

    An ordinary solve chooses the steps, which are cut at the wanted times. In reverse mode the
    states before them are computed from those after them, so that nothing is kept but the lengths
    of steps. The derivatives by y0, args, t0 and t1 are those of the steps; those by ts are du/dt.

    Args:
        field: as in `solve`, as are the others.
        t0: start.
        t1: end.
        y0: the state at t0.
        args: what the field gets.
        coupling: of the two solutions. Undone steps multiply rounding by its inverse.
        ts: wanted times.
        **options: those of `solve`.
    """
    still = jax.lax.stop_gradient((t0, t1, y0, args))
    found = solve(field, *still, **options, lengths=True)
    leaves, tree = jax.tree.flatten(y0)
    _, parametric, parameters, _ = parametric_of(field, t0, y0, args)
    start, end, wanted = wide([t0, t1, jnp.zeros(0, t0.dtype) if ts is None else ts])
    given = Given(start, end, wanted, wide(leaves), wide(parameters))
    method = Reversible(parametric, options["tableau"], coupling)

    def function(data: PyTree) -> tuple[PyTree, PyTree]:
        pair, ys, count = _through(method, *data)
        return (pair.y, ys), count

    def tangent(data: PyTree) -> PyTree:
        pair, ys, _ = _through(method, *data)
        return pair.y, moved_with_times(method, data[0], ys)

    def kept(data: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        pair, ys, count = _through(method, *data)
        return (pair.y, ys), count, (pair, ys)

    data = (given, found.lengths)
    pull = functools.partial(pulled, method)
    (y1, ys), count = with_pullback(function, kept, pull, data, tangent=tangent)
    valid = jnp.where(found.result == SUCCESSFUL, 1.0, jnp.nan)

    def rounded(ys: Leaves) -> PyTree:
        pairs = zip(ys, leaves, strict=True)
        return tree.unflatten([(y * valid.astype(y.dtype)).astype(x.dtype) for y, x in pairs])

    tableau = options["tableau"]
    evaluations = 2 * (tableau.num_stages - int(tableau.fsal)) * count
    return found._replace(
        y1=rounded(y1),
        ys=None if ts is None else rounded(ys),
        num_evaluations=found.num_evaluations + evaluations,
        lengths=None,
    )


def _through(method: Reversible, given: Given, lengths: jax.Array) -> tuple[Pair, Leaves, Any]:
    """The pair at the end, the state at the wanted times, and the number of steps."""
    grid = grid_of(given, lengths)
    return *method.through(given, grid), grid.num_steps
