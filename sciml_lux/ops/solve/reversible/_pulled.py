"""The cotangents of a reversible solve, whose steps are undone on the way."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..forward._loop import places_of
from ..loops._dynamic_scan import dynamic_scan
from ..loops._rows import row_of
from ..steps._given import Given
from ..steps._step import Leaves
from ._grid import grid_of
from ._reversible import Pair, Reversible


def moved_with_times(method: Reversible, given: Given, ys: Leaves) -> Leaves:
    """`ys`, which as fractions of the whole stay where they are, moved with the wanted times."""
    places = places_of(given)
    moves = (places - jax.lax.stop_gradient(places)) * (given.t1 - given.t0)

    def one(t: jax.Array, move: jax.Array, y: Leaves) -> Leaves:
        still = jax.lax.stop_gradient((given.parameters, t, y))
        return [v + move.astype(v.dtype) * f for v, f in zip(y, method.field(*still), strict=True)]

    return jax.vmap(one)(given.ts, moves, ys) if len(given.ts) else ys


def pulled(
    method: Reversible, data: PyTree, kept: PyTree, cotangents: PyTree, flags: list[bool]
) -> list[Any]:
    """The cotangents of the leaves of `data`, step by step from the last to the first."""
    (given, lengths), (pair, ys), (dy1, dys) = data, kept, cotangents
    grid = grid_of(given, lengths)
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
        moved = lambda moving: moved_with_times(method, given_of(moving), ys)  # noqa: E731
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
