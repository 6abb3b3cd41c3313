"""What each equation and constant of a program does to the digits."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..programs import ClosedJaxpr, JaxprEqn, Literal, Visit, expanded, has_programs, walk
from ._constants import is_narrower, of_constant
from ._half_sums import accumulation, added_to_carries
from ._lossy import lossy_requests
from ._opaque import opaque_call
from ._rounded import rounded
from ._widened import of_accumulation

# The kinds that fail `assert_no_narrowing`; the others are only listed.
FAILING = (
    "narrowing",
    "low precision",
    "accumulation",
    "integer to float",
    "constant",
    "matmul precision",
    "opaque",
)
_SIDES = ("widening", "narrowing", "narrowing back", "low precision")


def judged(
    program: ClosedJaxpr, want: np.dtype, is_value: bool
) -> Iterator[tuple[Visit, str, str]]:
    """Every equation and constant that changes digits, with kind and detail.

    Rounding is looked for in the value alone: in a derivative, a rounded number may be a
    legitimate factor, such as the number of whole periods.
    """
    program = expanded(program)
    accumulating = of_accumulation(program)
    told = {"accumulation": added_to_carries(program), "rounding": {}}
    if is_value:
        told["rounding"] = rounded(program)
    for visit in walk(program):
        equation = visit.equation
        if equation is None:
            yield from ((visit, *found) for found in of_constant(visit.constant, want))
            continue
        for kind, detail in _of_equation(equation, want):
            if kind not in _SIDES or id(equation) not in accumulating:
                yield visit, kind, detail
        for kind, details in told.items():
            if id(equation) in details:
                yield visit, kind, details[id(equation)]


def _of_equation(equation: JaxprEqn, want: np.dtype) -> Iterator[tuple[str, str]]:
    """Kinds and details of what an equation does to the digits."""
    for operand in equation.invars:
        if isinstance(operand, Literal):
            yield from of_constant(operand.val, want)
    if called := opaque_call(equation):
        yield "opaque", called
    yield from lossy_requests(equation, want)
    if detail := accumulation(equation):
        yield "accumulation", detail
    if has_programs(equation):
        return  # The results of a sub-program were judged inside it.
    sources = [v.aval for v in equation.invars if hasattr(v.aval, "dtype")]
    for result in equation.outvars:
        yield from _of_result(getattr(result.aval, "dtype", None), sources, want)


def _of_result(
    result: np.dtype | None, operands: list[Any], want: np.dtype
) -> Iterator[tuple[str, str]]:
    """Kind and detail of one result of an equation, if there is anything to say."""
    if result is None or not jnp.issubdtype(result, jnp.inexact):
        return
    real = jnp.finfo(result).dtype
    floats = [a for a in operands if jnp.issubdtype(a.dtype, jnp.inexact)]
    wider = [a for a in floats if is_narrower(real, jnp.finfo(a.dtype).dtype)]
    if is_narrower(real, want):
        if wider:
            yield "narrowing", f"{wider[0].dtype} -> {result}"
        elif operands and not floats:
            yield "integer to float", f"{operands[0].dtype} -> {result}"
        else:
            yield "low precision", str(result)
    elif real.itemsize > want.itemsize and real not in [jnp.finfo(a.dtype).dtype for a in floats]:
        yield "widening", f"{floats[0].dtype if floats else 'nothing'} -> {result}"
    # A Python number, a weak float64 to JAX, takes the dtype of what it is combined with.
    elif wider and real == want and not wider[0].weak_type:
        yield "narrowing back", f"{wider[0].dtype} -> {result}"
