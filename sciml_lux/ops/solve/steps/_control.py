"""Step size control: how long the next step is, and whether the last is accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..tableaus._tableau import Tableau
from ._step import Field, Leaves


@dataclass(frozen=True)
class Adaptive:
    """Step sizes from an error estimate, by a proportional-integral-derivative controller.

    After a step of error ε, relative to the tolerance, the length is multiplied by
    safety ε^(-(p + i + d)/q) ε₁^((p + 2d)/q) ε₂^(-d/q), with the errors ε₁ and ε₂ of the two steps
    before and the order q of the method; a step with ε > 1 is rejected and tried again.

    Args:
        p: coefficient of the proportional part.
        i: coefficient of the integral part.
        d: coefficient of the derivative part.
        safety: factor by which steps are shorter than the error estimate allows.
        shrink: smallest factor after a rejected step.
        grow: largest factor.

    Source: Söderlind, Digital filters in adaptive time-stepping, ACM TOMS 29 (2003).
    """

    p: float = 0.0
    i: float = 1.0
    d: float = 0.0
    safety: float = 0.9
    shrink: float = 0.2
    grow: float = 10.0


@dataclass(frozen=True)
class Fixed:
    """Steps of one length."""


Control = Adaptive | Fixed

Tolerances = Sequence[jax.Array | None]
"""Of each leaf; None for one that is outside of the error norm."""


class Errors(NamedTuple):
    """The errors of the accepted steps before this one, relative to the tolerance."""

    last: jax.Array
    before: jax.Array


def factor(control: Adaptive, order: int, error: jax.Array, errors: Errors) -> jax.Array:
    """The length of the next step relative to this one, by its error; NaN counts as large."""
    p, i, d = (value / order for value in (control.p, control.i, control.d))
    change = control.safety * error ** -(p + i + d)
    if p or d:
        change = change * errors.last ** (p + 2 * d)
    if d:
        change = change * errors.before**-d
    accepted = jnp.clip(change, 1.0, control.grow)
    rejected = jnp.clip(change, control.shrink, control.safety)
    change = jnp.where(error <= 1, accepted, rejected)
    return jnp.where(jnp.isfinite(error), change, control.shrink)


def largest_square(
    error: Leaves, y0: Leaves, y1: Leaves, rtol: Leaves, atol: Tolerances, samples: int
) -> jax.Array:
    """The square of the error relative to the tolerance: the mean over components, and the largest
    over samples.

    Args:
        error: the estimated error of the state.
        y0: the state before the step.
        y1: the state after it.
        rtol: relative tolerances.
        atol: absolute tolerances.
        samples: the number of leading axes of each leaf that number samples.
    """
    scaled = [
        # An error of 0 is within every tolerance, also within 0.
        jnp.where(e == 0, 0.0, jnp.abs(e) / (a + r * jnp.maximum(jnp.abs(u), jnp.abs(v))))
        for e, u, v, r, a in zip(error, y0, y1, rtol, atol, strict=True)
        if a is not None
    ]
    return mean_square(scaled, samples)


def mean_square(values: Leaves, samples: int) -> jax.Array:
    """The mean square over the components of each sample, and the largest over samples."""
    axes = [min(samples, v.ndim) for v in values]
    squares = [
        jnp.sum(jnp.square(jnp.abs(v)), axis=tuple(range(n, v.ndim)))
        for v, n in zip(values, axes, strict=True)
    ]
    sizes = [int(jnp.size(v) // max(jnp.size(s), 1)) for v, s in zip(values, squares, strict=True)]
    widest = max((s.dtype for s in squares), key=lambda dtype: dtype.itemsize)
    if len({s.shape for s in squares}) == 1:
        groups = [sum(s.astype(widest) for s in squares) / max(sum(sizes), 1)]
    else:  # Leaves without the samples of the others are measured separately.
        groups = [s.astype(widest) / max(n, 1) for s, n in zip(squares, sizes, strict=True)]
    # Of no samples, or no components, the error is 0.
    return jnp.stack([jnp.max(g, initial=0) for g in groups]).max()


def _without_overflow(values: Leaves, samples: int) -> jax.Array:
    """The root of `mean_square`, also of numbers whose squares are not finite."""
    widest = max((v.dtype for v in values), key=lambda dtype: dtype.itemsize)
    largest = jnp.stack([jnp.max(v, initial=0).astype(widest) for v in values]).max()
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)
    return unit * jnp.sqrt(mean_square([v / unit.astype(v.dtype) for v in values], samples))


def first_step(
    field: Field,
    tableau: Tableau,
    t0: jax.Array,
    span: jax.Array,
    y0: Leaves,
    slope: Leaves,
    rtol: Leaves,
    atol: Tolerances,
    samples: int,
) -> jax.Array:
    """The length of the first step, from the sizes of y0, y' and y''.

    Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, II.4.
    """
    scale = [
        None if a is None else a + r * jnp.abs(y) for y, r, a in zip(y0, rtol, atol, strict=True)
    ]

    def size(values: Leaves) -> jax.Array:
        # What starts at 0 with a relative tolerance alone has no scale yet.
        scaled = [
            jnp.where(s > 0, jnp.abs(v) / jnp.where(s > 0, s, 1.0), 0.0)
            for v, s in zip(values, scale, strict=True)
            if s is not None
        ]
        return _without_overflow(scaled, samples).astype(span.dtype)

    state, velocity = size(y0), size(slope)
    small = (state < 1e-5) | (velocity < 1e-5)
    trial = jnp.where(small, 1e-6, 0.01 * (state / jnp.where(small, 1.0, velocity)))
    trial = jnp.minimum(trial, jnp.abs(span))
    h = trial * jnp.sign(span)
    moved = [y + h.astype(y.dtype) * v for y, v in zip(y0, slope, strict=True)]
    change = [b - a for a, b in zip(slope, field(t0 + h, moved), strict=True)]
    largest = jnp.maximum(velocity, size(change) / jnp.where(trial == 0, 1.0, trial))
    still = largest <= 1e-15
    by_size = (0.01 / jnp.where(still, 1.0, largest)) ** (1 / tableau.order)
    found = jnp.minimum(100 * trial, jnp.where(still, jnp.maximum(1e-6, trial * 1e-3), by_size))
    # Where a size is not finite in this dtype; steps are made shorter, or longer, from there.
    return jnp.where(found > 0, found, 1e-6 * jnp.abs(span))
