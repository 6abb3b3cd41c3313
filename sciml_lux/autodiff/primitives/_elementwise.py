"""The primitives that compute each entry from the entries in the same place."""

import itertools

from ...programs import ClosedJaxpr, Jaxpr, JaxprEqn, inside, open_jaxpr, primitive_name
from ._equations import shape_of

_ONE_OPERAND = """
    abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil conj convert_element_type
    copy copy_p cos cosh digamma erf erf_inv erfc exp exp2 expm1 floor imag integer_pow is_finite
    lgamma log log1p logistic neg not real reduce_precision round rsqrt sign sin sinh sqrt square
    stop_gradient tan tanh
"""
_SEVERAL_OPERANDS = """
    add add_any and atan2 clamp complex div eq ge gt igamma igammac le lt max min mul ne nextafter
    or polygamma pow regularized_incomplete_beta rem select_n sub xor zeta
"""
ELEMENTWISE = frozenset((_ONE_OPERAND + _SEVERAL_OPERANDS).split())
"""Their names. Scalars among the operands of `clamp` and `select_n` stand for all places."""


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
