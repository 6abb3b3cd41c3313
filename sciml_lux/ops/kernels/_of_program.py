"""What a primitive has of the program of the batch, its parameter `call_jaxpr`."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax

from .._primitive import ClosedJaxpr, Value, is_inexact, is_zero, jaxpr_as_fun, zero_like


def run(*operands: Value, call_jaxpr: ClosedJaxpr, **_: Any) -> list[Value]:
    """The results."""
    return jaxpr_as_fun(call_jaxpr)(*operands)


def types(*operands: Value, call_jaxpr: ClosedJaxpr, **_: Any) -> list[Any]:
    """Shape and dtype of each result."""
    return [(t.shape, t.dtype) for t in call_jaxpr.out_avals]


def jvp(
    operands: Sequence[Value], tangents: Sequence[Value], *, call_jaxpr: ClosedJaxpr, **_: Any
) -> tuple[list[Value], list[Value]]:
    """The results and their tangents."""
    moves = [not is_zero(tangent) for tangent in tangents]

    def of_moving(*moving: Value) -> list[Value]:
        rest = iter(moving)
        pairs = zip(operands, moves, strict=True)
        return jaxpr_as_fun(call_jaxpr)(*(next(rest) if moves else x for x, moves in pairs))

    moving, steps = (list(itertools.compress(v, moves)) for v in (operands, tangents))
    results, moved = jax.jvp(of_moving, moving, steps)
    pairs = zip(results, moved, strict=True)
    return results, [dy if is_inexact(y) else zero_like(y) for y, dy in pairs]
