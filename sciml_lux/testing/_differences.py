"""Slopes of a function by differences, with what they may be off."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

_CAUTION = 4.0  # How much further off differences may be than they look.


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """What is asked of a slope.

    Attributes:
        unit: in the last place of what it is the slope of.
        rtol: how far it may be off, relative to itself.
        atol: and absolutely.
        coarsest: the `rtol` above which differences tell too little.
        size: of the value: nothing that is computed with it has less rounding than it has.
    """

    unit: float
    rtol: float
    atol: float
    coarsest: float
    size: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A slope by differences, and how far it may be off."""

    slope: float
    doubt: float


def difference(f: Callable[[Any], Any], x: Any, v: Any, accuracy: Accuracy) -> Difference:
    """The slope of `f` at `x` along `v`, by steps that shrink until it is accurate enough.

    Central differences are extrapolated to a step of zero from one step and the coarser two before
    it. How far they are off shows in how much the extrapolations disagree.
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
