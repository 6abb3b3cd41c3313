"""One leapfrog step, of those that the steps of a composition are made of."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..steps._step import Leaves
from ._composition import Composition
from ._halves import Halves


class Given(NamedTuple):
    """What a solve is differentiated with respect to.

    Attributes:
        t0: start.
        t1: end.
        y0: the state at the start, the leaves of q before those of p.
        parameters: what the field needs.
    """

    t0: jax.Array
    t1: jax.Array
    y0: Leaves
    parameters: list[jax.Array]


class Part(NamedTuple):
    """A leapfrog step as part of a step, both as data.

    Attributes:
        t: where the step starts.
        h: its length in time.
        start: the part of it that is done.
        weight: the length of the leapfrog step, as a part of it.
    """

    t: jax.Array
    h: jax.Array
    start: jax.Array
    weight: jax.Array


def part_of(composition: Composition, given: Given, number: jax.Array, steps: jax.Array) -> Part:
    """The leapfrog step of this number, of a solve in so many steps of equal length."""
    clock, count = given.t0.dtype, jnp.int32(composition.number)
    step, within = jax.lax.div(number, count), jax.lax.rem(number, count)
    span, total = given.t1 - given.t0, steps.astype(clock)
    t = given.t0 + (step.astype(clock) / total) * span
    starts, weights = (
        _entry(values, within, clock)
        for values in (composition.starts.tolist(), composition.weights)
    )
    return Part(t, span / total, starts, weights)


def _entry(values: Sequence[float], number: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The value of this number.

    By comparisons, as XLA makes one kernel of a small loop that reads no table: measured on a CPU,
    a step then takes a sixth of the time.
    """
    found = jnp.full((), values[0], dtype)
    for i, value in enumerate(values[1:], 1):
        found = jnp.where(number == i, jnp.asarray(value, dtype), found)
    return found


def moves(
    halves: Halves, parameters: list[jax.Array], part: Part, y: Leaves, lost: Leaves
) -> tuple[Leaves, Leaves]:
    """The state after a leapfrog step: q by half of it, p by all of it, q by the other half.

    Args:
        halves: the field.
        parameters: what it needs.
        part: which step.
        y: the state before.
        lost: what rounding took from the sums so far, and gets back in this one; empty where that
            is not followed.
    """
    t, h, start, weight = part
    length, number = weight * h, halves.number
    (q, p), (lost_q, lost_p) = (y[:number], y[number:]), (lost[:number], lost[number:])
    half = length / 2
    q, lost_q = _added(q, half, halves.drift(parameters, t + start * h, p), lost_q)
    p, lost_p = _added(p, length, halves.kick(parameters, t + (start + weight / 2) * h, q), lost_p)
    q, lost_q = _added(q, half, halves.drift(parameters, t + (start + weight) * h, p), lost_q)
    return [*q, *p], [*lost_q, *lost_p]


def _added(y: Leaves, h: jax.Array, slope: Leaves, lost: Leaves) -> tuple[Leaves, Leaves]:
    """y + h slope, and what its rounding loses (Knuth's sum of two)."""
    change = [h.astype(k.dtype) * k for k in slope]
    if not lost:
        return [a + b for a, b in zip(y, change, strict=True)], []
    change = [b + c for b, c in zip(change, lost, strict=True)]
    total = [a + b for a, b in zip(y, change, strict=True)]
    kept = [s - a for s, a in zip(total, y, strict=True)]
    lost = [(a - (s - k)) + (b - k) for a, b, s, k in zip(y, change, total, kept, strict=True)]
    return total, lost
