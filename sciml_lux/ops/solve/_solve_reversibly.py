"""solve_reversibly: a solve by steps that can be undone, differentiated in constant memory."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ._dynamic_scan import dynamic_scan
from ._given import Given
from ._loop import SUCCESSFUL, places_of
from ._parametric import parametric_of, wide
from ._reversible import Grid, Pair, Reversible
from ._rows import row_of
from ._solve import Solved, solve
from ._step import Leaves
from ._with_pullback import with_pullback


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
        return pair.y, _moved_with_times(method, data[0], ys)

    def kept(data: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        pair, ys, count = _through(method, *data)
        return (pair.y, ys), count, (pair, ys)

    data = (given, found.lengths)
    pull = functools.partial(_pulled, method)
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
    grid = _grid(given, lengths)
    return *method.through(given, grid), grid.num_steps


def _grid(given: Given, lengths: jax.Array) -> Grid:
    """The steps of these lengths, cut at the wanted times."""
    ends = jnp.cumsum(lengths)
    whole = ends[-1]
    ends = ends / jnp.where(whole == 0, 1.0, whole)
    # Wanted times come first, so that those at the end of a step are there before it.
    number, size = len(given.ts), len(given.ts) + len(ends)
    places = jnp.concatenate([places_of(given), ends])
    order = jnp.argsort(places, stable=True).astype(jnp.int32)
    places = jax.lax.stop_gradient(jnp.clip(places[order], 0, 1))
    saves = jnp.where(order < number, order, number)
    inside = jnp.sum(places < 1, dtype=jnp.int32)
    at_end = jnp.sum((places >= 1) & (saves < number), dtype=jnp.int32)
    count = jnp.minimum(inside + jnp.maximum(at_end, 1), size)
    starts = jnp.concatenate([jnp.zeros(1, places.dtype), places[:-1]])
    return Grid(starts, places - starts, saves, count)


def _moved_with_times(method: Reversible, given: Given, ys: Leaves) -> Leaves:
    """`ys`, which as fractions of the whole stay where they are, moved with the wanted times."""
    places = places_of(given)
    moves = (places - jax.lax.stop_gradient(places)) * (given.t1 - given.t0)

    def one(t: jax.Array, move: jax.Array, y: Leaves) -> Leaves:
        still = jax.lax.stop_gradient((given.parameters, t, y))
        return [v + move.astype(v.dtype) * f for v, f in zip(y, method.field(*still), strict=True)]

    return jax.vmap(one)(given.ts, moves, ys) if len(given.ts) else ys


def _pulled(
    method: Reversible, data: PyTree, kept: PyTree, cotangents: PyTree, flags: list[bool]
) -> list[Any]:
    """The cotangents of the leaves of `data`, step by step from the last to the first."""
    (given, lengths), (pair, ys), (dy1, dys) = data, kept, cotangents
    grid = _grid(given, lengths)
    operands, tree = jax.tree.flatten((given.t0, given.t1, given.ts, given.parameters))
    moves: Given = jax.tree.unflatten(jax.tree.structure(given), flags[:-1])
    own = jax.tree.leaves((moves.t0, moves.t1, moves.ts, moves.parameters))
    moving = list(itertools.compress(operands, own))

    def given_of(moving: Leaves) -> Any:
        rest = iter(moving)
        merged = [next(rest) if m else x for m, x in zip(own, operands, strict=True)]
        t0, t1, ts, parameters = tree.unflatten(merged)
        return Given(t0, t1, ts, given.y0, parameters)

    def step(constants: PyTree, row: tuple[()], carry: PyTree) -> Any:
        grid, dys = constants
        number, pair, dpair, sums = carry
        start, length, save = (row_of(rows, number) for rows in grid[:3])
        before = method.undone(given, start, length, pair)
        dy = [d + row_of(rows, save) for d, rows in zip(dpair.y, dys, strict=True)]

        def taken(moving: Leaves, before: Pair) -> Pair:
            return method.step(given_of(moving), start, length, before)

        _, transposed = jax.vjp(taken, moving, before)
        added, dbefore = transposed(Pair(dy, dpair.z))
        sums = [total + term for total, term in zip(sums, added, strict=True)]
        return (number - 1, before, dbefore, sums), ()

    jumps = [jnp.concatenate([d, jnp.zeros_like(d, shape=(1, *d.shape[1:]))]) for d in dys]
    dpair = Pair(dy1, [jnp.zeros_like(d) for d in dy1])
    zeros = [jnp.zeros_like(x) for x in moving]
    start = (grid.num_steps - 1, pair, dpair, zeros)
    (_, first, dpair, sums), _ = dynamic_scan(
        step, grid.num_steps, (grid, jumps), (), start, length=len(grid.starts)
    )
    if any(jax.tree.leaves((moves.t0, moves.t1, moves.ts))):
        moved = lambda moving: _moved_with_times(method, given_of(moving), ys)  # noqa: E731
        (direct,) = jax.vjp(moved, moving)[1](dys)
        sums = [total + term for total, term in zip(sums, direct, strict=True)]
    valid = _meets(first, given.y0, pair.y)
    dpair, sums = jax.tree.map(lambda x: x * valid.astype(x.dtype), (dpair, sums))
    rest = iter(sums)
    t0, t1, ts, parameters = tree.unflatten([next(rest) if m else None for m in own])
    dy0 = [a + b for a, b in zip(*dpair, strict=True)]
    return [t0, t1, ts, *dy0, *parameters, None]


def _meets(pair: Pair, y0: Leaves, y1: Leaves) -> jax.Array:
    """1 if undone steps led back to the start, to a third of the digits; else not a number."""
    eps = max(float(jnp.finfo(y.dtype).eps) for y in y0)

    def largest(leaves: Leaves) -> jax.Array:
        return jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]).max()

    size = jnp.maximum(largest(y0), largest(y1))
    misses = [largest([a - b for a, b in zip(y, y0, strict=True)]) for y in pair]
    # Not `>`, which is False of what is not a number.
    meets = jnp.maximum(*misses) <= eps ** (1 / 3) * size
    return jax.lax.stop_gradient(jnp.where(meets, 1.0, jnp.nan))
