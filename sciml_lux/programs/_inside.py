"""How values enter and leave the programs inside an equation."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ._jax import ClosedJaxpr, Jaxpr, JaxprEqn, primitive_name, scan_sizes

_CALLS = frozenset(
    {"jit", "remat", "call", "closed_call", "eval_jaxpr", "custom_jvp_call", "custom_vjp_call"}
)


class Inside(NamedTuple):
    """A program inside an equation, and what is bound to it.

    Attributes:
        program: the program.
        operands: for each of its arguments, the variable or literal outside.
        results: for each of its results, the variable outside; empty for the condition of `while`.
        carried: pairs of a result and the argument that it is of the next round.
    """

    program: ClosedJaxpr | Jaxpr
    operands: Sequence[Any]
    results: Sequence[Any]
    carried: Sequence[tuple[int, int]] = ()


def inside(equation: JaxprEqn) -> Iterator[Inside]:
    """The programs inside a call or control flow; nothing for what cannot be followed."""
    name, params, operands = primitive_name(equation), equation.params, list(equation.invars)
    results = equation.outvars
    if name in _CALLS:
        program = params["call_jaxpr" if "call_jaxpr" in params else "jaxpr"]
        yield Inside(program, operands, results)
    elif name == "cond":
        yield from (Inside(branch, operands[1:], results) for branch in params["branches"])
    elif name == "scan":
        first, number = scan_sizes(params)
        yield Inside(params["jaxpr"], operands, results, [(i, first + i) for i in range(number)])
    elif name == "while":
        first, second = params["cond_nconsts"], params["body_nconsts"]
        state = operands[first + second :]
        carried = [(i, second + i) for i in range(len(state))]
        yield Inside(params["cond_jaxpr"], [*operands[:first], *state], ())
        yield Inside(params["body_jaxpr"], operands[first:], results, carried)
