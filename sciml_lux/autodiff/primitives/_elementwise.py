"""Equations that compute each entry from the entries in the same place."""

import itertools

from ...programs import (
    ELEMENTWISE,
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    inside,
    open_jaxpr,
    primitive_name,
)
from ._equations import shape_of

_CALLS = frozenset({"jit", "remat", "call", "closed_call", "custom_jvp_call"})


def is_elementwise(equation: JaxprEqn) -> bool:
    """Whether `equation`, or the function that it calls, computes each entry from its own place.

    Scalars may take part everywhere.
    """
    shapes = {shape_of(atom) for atom in itertools.chain(equation.invars, equation.outvars)}
    if len(shapes - {()}) > 1:
        return False
    name = primitive_name(equation)
    if name in _CALLS:
        return all(_is_elementwise_program(part.program) for part in inside(equation))
    return name in ELEMENTWISE


def _is_elementwise_program(program: ClosedJaxpr | Jaxpr) -> bool:
    return all(
        is_elementwise(equation) or primitive_name(equation) == "broadcast_in_dim"
        for equation in open_jaxpr(program).eqns
    )
