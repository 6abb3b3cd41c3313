"""Whether watched conditions, real functions of time and state, reach 0 within a step."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

LOOKS = 8
"""At how many times of each step the conditions are evaluated, evenly spaced, its end the last."""


_LEAST_JUMP = 2**-7
"""A change within the resolution of the clock, of the largest size of a condition, that is one."""


class Watch(NamedTuple):
    """The conditions.

    Attributes:
        conditions: (n,) of a time and a state; a tree.
        directions: (n,): 1 for conditions that count while they rise, -1 while they fall, 0 both.
        signs: (n,) -1 or 1, the side of 0 from which they come; 0 for one that has still to leave
            it, and does not count before.
    """

    conditions: Callable[[jax.Array, PyTree], jax.Array]
    directions: np.ndarray | jax.Array
    signs: jax.Array


class Seen(NamedTuple):
    """What is known after a step.

    Attributes:
        found: whether a condition has reached 0.
        look: at which of the looks into that step.
        signs: (n,) before that look.
        largest: (n,) the largest size of the conditions so far.
        t: the start of that step.
        h: its length.
        y: the state at its start.
    """

    found: jax.Array
    look: jax.Array
    signs: jax.Array
    largest: jax.Array
    t: jax.Array
    h: jax.Array
    y: Any


def nothing_seen(watch: Watch, t: jax.Array, y: PyTree) -> Seen:
    """What is known at the start, where the time is `t` and the state `y`."""
    nothing, none = jnp.zeros_like(watch.signs), jnp.zeros((), jnp.int32)
    return Seen(none > 0, none, watch.signs, nothing, t, jnp.zeros_like(t), y)


def reached(watch: Watch, signs: jax.Array, values: jax.Array) -> jax.Array:
    """(n,) whether conditions on the side `signs` of 0 have reached it, in their direction."""
    now = sign(values)
    goes = (watch.directions == 0) | (watch.directions == -signs)
    return goes & (signs != 0) & (now != signs) & ~jnp.isnan(values)


def sign(values: jax.Array) -> jax.Array:
    """The sign of each; 0 for what is not a number."""
    return jnp.where(jnp.isnan(values), 0.0, jnp.sign(values))


def side(signs: jax.Array, values: jax.Array) -> jax.Array:
    """(n,) on which side of 0 the conditions are, or were before they were 0."""
    now = sign(values)
    return jnp.where(now == 0, signs, now)


def looked_over(
    watch: Watch,
    before: Seen,
    start: tuple[jax.Array, jax.Array, PyTree],
    inner: Callable[[jax.Array], PyTree],
    end: tuple[jax.Array, PyTree],
) -> Seen:
    """What is known after one more step.

    Args:
        watch: the conditions.
        before: what was known.
        start: of the step: its time, its length, and the state.
        inner: the state at a fraction of the step.
        end: of the step: its time, and the state.
    """
    t, h, y = start
    fractions = jnp.arange(1, LOOKS, dtype=t.dtype) / LOOKS
    inside = jax.vmap(lambda part: watch.conditions(t + part * h, inner(part)))(fractions)
    values = [*inside, watch.conditions(*end)]
    found, look, signs = jnp.zeros((), bool), before.look, before.signs
    for number, value in enumerate(values, 1):
        hit = ~found & reached(watch, signs, value).any()
        found, look = found | hit, jnp.where(hit, np.int32(number), look)
        signs = jnp.where(found, signs, side(signs, value))
    largest = functools.reduce(jnp.fmax, map(jnp.abs, values), before.largest)
    return Seen(found, look, signs, largest, t, h, y)


def first_reached(
    watch: Watch, seen: Seen, state_at: Callable[[jax.Array], PyTree]
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The fraction of the step at which the first condition has just reached 0.

    The interval before the look is halved until the clock cannot tell its ends apart. It keeps the
    half in which some condition first changes, so that of several it is the earliest.

    Args:
        watch: the conditions.
        seen: what was found.
        state_at: the state at a fraction of the step.

    Returns: The fraction; (n,) which conditions have reached 0 then; and whether one of them did
    not, but jumped over it.
    """

    def values(part: jax.Array) -> jax.Array:
        return watch.conditions(seen.t + part * seen.h, state_at(part))

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        middle = (ends[0] + ends[1]) / 2
        hit = reached(watch, seen.signs, values(middle)).any()
        return jnp.where(hit, ends[0], middle), jnp.where(hit, middle, ends[1])

    look = seen.look.astype(seen.t.dtype)
    ends = (look - 1) / LOOKS, look / LOOKS
    bits = jnp.finfo(seen.t.dtype).nmant + 8
    low, high = jax.lax.fori_loop(0, bits, halve, ends)
    at = [*map(values, (*ends, low, high))]
    which = reached(watch, seen.signs, at[3])
    # At the end of the step the state is not that of the interpolant, and neither may be 0.
    which = jnp.where(which.any(), which, _nearest(watch, seen, at[1]))
    jump, change = jnp.abs(at[3] - at[2]), jnp.abs(at[1] - at[0])
    return high, which, (which & (jump > change / 2) & (jump > _LEAST_JUMP * seen.largest)).any()


def _nearest(watch: Watch, seen: Seen, values: jax.Array) -> jax.Array:
    """(n,) the one condition that is closest to 0, of those that may count."""
    can = ((watch.directions == 0) | (watch.directions == -seen.signs)) & (seen.signs != 0)
    nearest = jnp.argmin(jnp.where(can & ~jnp.isnan(values), jnp.abs(values), jnp.inf))
    return jnp.arange(len(values), dtype=nearest.dtype) == nearest
