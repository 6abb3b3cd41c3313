"""Sums in half precision, where after a few thousand terms the next ones are rounded away."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..programs import (
    ClosedJaxpr,
    Inside,
    Jaxpr,
    JaxprEqn,
    Literal,
    inside,
    open_jaxpr,
    primitive_name,
    variables,
    walk,
)
from ._widened import ADDS, HALVES, MOVES

_MOVES_OR_CASTS = MOVES | {"convert_element_type"}


def accumulation(equation: JaxprEqn) -> str:
    """What an equation adds up in half precision; "" if nothing."""
    dtype = getattr(equation.outvars[0].aval, "dtype", None) if equation.outvars else None
    if dtype not in HALVES:
        return ""
    terms = _terms(equation)
    return f"{primitive_name(equation)} of {terms} terms in {dtype}" if terms > 1 else ""


def _terms(equation: JaxprEqn) -> int:
    """How many terms each result of an equation may be the sum of; 1 for what is not a sum."""
    name, params = primitive_name(equation), equation.params
    shape: Any = getattr(equation.invars[0].aval, "shape", ()) if equation.invars else ()
    if name in ("reduce_sum", "reduce_prod"):
        return math.prod(shape[axis] for axis in params["axes"])
    if name in ("cumsum", "cumprod", "cumlogsumexp"):
        return shape[params["axis"]]
    if name in ("reduce", "reduce_window") and not _adds(params["jaxpr"]):
        return 1
    if name == "reduce":
        return math.prod(shape[axis] for axis in params["dimensions"])
    if name in ("reduce_window", "reduce_window_sum", "select_and_scatter_add"):
        return math.prod(params["window_dimensions"])
    if name == "scatter-add":
        return _updates(equation)
    if name == "dot_general" and _adds_in_half(params["precision"]):
        return math.prod(shape[axis] for axis in params["dimension_numbers"][0][0])
    return 1


def _adds(program: ClosedJaxpr | Jaxpr) -> bool:
    """Whether a reduction with a function of its own adds."""
    return any(equation.primitive.name in ADDS for equation in open_jaxpr(program).eqns)


def _updates(equation: JaxprEqn) -> int:
    """How many updates of a scatter may be added to one entry."""
    indices: Any = equation.invars[1].aval
    numbers = equation.params["dimension_numbers"]
    if equation.params["unique_indices"]:
        return 1
    apart = set(getattr(numbers, "scatter_indices_batching_dims", ()))
    return math.prod(n for axis, n in enumerate(indices.shape[:-1]) if axis not in apart)


def _adds_in_half(precision: Any) -> bool:
    """Whether a product asks for sums in half precision; by default XLA adds in float32."""
    asked = getattr(precision, "accumulation_type", None)
    name = getattr(precision, "name", "")
    return asked in HALVES if asked is not None else name.endswith(("_F16", "_BF16"))


def added_to_carries(program: ClosedJaxpr) -> dict[int, str]:
    """The ids of equations that add to a value that a loop carries in half precision, with details.

    What is added must not depend on the carried value: a recurrence is not a sum.
    """
    found = {}
    for visit in walk(program):
        for part in inside(visit.equation) if visit.equation is not None else ():
            name = primitive_name(visit.equation)  # pyright: ignore[reportArgumentType]
            for equation, dtype in _adding(open_jaxpr(part.program), part.carried):
                found[equation] = f"{name} carry of {dtype} that is added to"
    return found


def _adding(jaxpr: Jaxpr, carried: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Any]]:
    for place, argument in carried:
        variable, result = jaxpr.invars[argument], jaxpr.outvars[place]
        dtype = getattr(variable.aval, "dtype", None)
        if dtype in HALVES:
            adding, _ = _followed(jaxpr, {variable: frozenset()}, {variable})
            found = () if isinstance(result, Literal) else adding.get(result, ())
            yield from ((equation, dtype) for equation in found)


def _followed(jaxpr: Jaxpr, adding: dict, depending: set) -> tuple[dict, set]:
    """Which variables are the carried value with something added, and the equations that add.

    `adding` has these variables, `depending` all that are computed from the carried value.
    """
    for equation in jaxpr.eqns:
        operands = [v for v in variables(equation.invars) if v in depending]
        if not operands:
            continue
        depending.update(equation.outvars)
        parts, name = list(inside(equation)), primitive_name(equation)
        if len(parts) == 1 and not parts[0].carried:
            _follow_call(parts[0], adding, depending)
        elif all(atom in adding for atom in operands):
            steps = frozenset().union(*(adding[atom] for atom in operands))
            if name in _MOVES_OR_CASTS or name == "scatter-add":
                steps |= {id(equation)} if name == "scatter-add" else set()
                adding |= dict.fromkeys(equation.outvars, steps)
            elif name in ADDS and len(operands) == 1:
                adding |= dict.fromkeys(equation.outvars, steps | {id(equation)})
    return adding, depending


def _follow_call(part: Inside, adding: dict, depending: set) -> None:
    """Follow the carried value into a call and out of it."""
    jaxpr = open_jaxpr(part.program)
    pairs = [p for p in zip(jaxpr.invars, part.operands, strict=True) if variables(p[1:])]
    within = {inner: adding[outer] for inner, outer in pairs if outer in adding}
    within, _ = _followed(jaxpr, within, {inner for inner, outer in pairs if outer in depending})
    adding |= {
        outer: within[inner]
        for inner, outer in zip(jaxpr.outvars, part.results, strict=True)
        if variables([inner]) and inner in within
    }
