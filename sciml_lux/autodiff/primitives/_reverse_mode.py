"""Whether a program has a derivative by reverse mode."""

from ...programs import ClosedJaxpr, Jaxpr, inside, open_jaxpr, primitive_name
from ._equations import has_derivative

_OWN_RULE = ("custom_jvp_call", "custom_vjp_call", "own_derivative")


def has_reverse_mode(program: ClosedJaxpr | Jaxpr) -> bool:
    """Whether no `while` loop of `program`, which JAX does not transpose, computes floats.

    What a custom rule derives is not looked at: its loops are not differentiated.
    """
    for equation in open_jaxpr(program).eqns:
        name = primitive_name(equation)
        if name == "while" and any(map(has_derivative, equation.outvars)):
            return False
        if name in _OWN_RULE:
            continue
        if not all(has_reverse_mode(part.program) for part in inside(equation)):
            return False
    return True
