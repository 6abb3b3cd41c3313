"""Grid: the steps of a reversible solve."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..forward._loop import places_of
from ..steps._given import Given


class Grid(NamedTuple):
    """The steps: those of an ordinary solve, cut at the wanted times.

    Attributes:
        starts: of the steps, as fractions of t1 - t0.
        lengths: of them.
        saves: the wanted state at the end of each; their number where there is none.
        num_steps: of them; the rows after them are empty.
    """

    starts: jax.Array
    lengths: jax.Array
    saves: jax.Array
    num_steps: jax.Array


def grid_of(given: Given, lengths: jax.Array) -> Grid:
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
