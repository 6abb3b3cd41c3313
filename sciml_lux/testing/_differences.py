"""Slopes of a function by differences, with estimates of their errors."""

import dataclasses
import math
from collections.abc import Callable

from jaxtyping import Array

_CAUTION = 4.0  # How many times larger than its estimate an error may be.


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """The accuracy that a slope must have.

    Attributes:
        unit: the unit in the last place, relative, of the function.
        rtol: the tolerance relative to the slope.
        atol: the absolute tolerance.
        coarsest: the largest `rtol` at which differences are still informative.
        size: the absolute value of the function, to which its rounding is proportional.
    """

    unit: float
    rtol: float
    atol: float
    coarsest: float
    size: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A slope by differences, and a bound of its error."""

    slope: float
    doubt: float


def difference(f: Callable[[Array], Array], x: Array, v: Array, accuracy: Accuracy) -> Difference:
    """The slope of `f` at `x` along `v`, by steps that shrink until it is accurate enough.

    Central differences at three steps are extrapolated to a step of zero. The disagreement of the
    extrapolations is an estimate of the error.
    """
    best, coarser = Difference(math.nan, math.inf), []
    step = 0.25
    while step > accuracy.unit ** (2 / 3):
        ahead, behind = float(f(x + step * v)), float(f(x - step * v))
        rounding = accuracy.unit * max(abs(ahead), abs(behind), accuracy.size) / (2 * step)
        finer = [(ahead - behind) / (2 * step)]
        for order, before in enumerate(coarser[:2], 1):
            finer.append(finer[-1] + (finer[-1] - before) / (16.0**order - 1))
            gap = max(abs(finer[-1] - finer[-2]), abs(finer[-1] - before))
            if _CAUTION * (gap + rounding) < best.doubt:
                best = Difference(finer[-1], _CAUTION * (gap + rounding))
        if best.doubt <= accuracy.rtol * abs(best.slope) + accuracy.atol:
            break
        coarser, step = finer, step / 4
    return best
