"""How values enter and leave the programs inside an equation."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ._jax import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, primitive_name, scan_sizes

_CALLS = frozenset({"jit", "remat", "eval_jaxpr"})
_PROGRAM_OF_CALL = "call_jaxpr"
"""The parameter of JAX's other calls and of ours."""

_CONDITION = "cond_jaxpr"
"""A parameter of JAX's `while` loop and of ours."""


class Inside(NamedTuple):
    """A program inside an equation, and what is bound to it.

    Attributes:
        program: the program.
        operands: for each of its arguments, the variable or literal outside.
        results: for each of its results, the variable outside; empty for the condition of `while`.
        carried: pairs of places: a result, and the argument that it becomes in the next iteration.

    Example:
        >>> import jax
        >>> count = lambda x: jax.lax.while_loop(lambda x: x < 9, lambda x: x + 1, x)
        >>> [loop] = jax.make_jaxpr(count)(0).jaxpr.eqns
        >>> [part.carried for part in inside(loop)]
        [(), [(0, 0)]]
    """

    program: ClosedJaxpr | Jaxpr
    operands: Sequence[Atom]
    results: Sequence[Atom]
    carried: Sequence[tuple[int, int]] = ()


def inside(equation: JaxprEqn) -> Iterator[Inside]:
    """The programs inside a call or control flow; none for what cannot be followed.

    Example:
        >>> import jax
        >>> [call] = jax.make_jaxpr(jax.jit(lambda x: 2 * x))(0.5).jaxpr.eqns
        >>> [part.program.jaxpr.eqns[0].primitive.name for part in inside(call)]
        ['mul']
    """
    name, params, operands = primitive_name(equation), equation.params, list(equation.invars)
    results = equation.outvars
    if _PROGRAM_OF_CALL in params:
        yield Inside(params[_PROGRAM_OF_CALL], operands, results)
    elif name in _CALLS:
        yield Inside(params["jaxpr"], operands, results)
    elif name == "cond":
        yield from (Inside(branch, operands[1:], results) for branch in params["branches"])
    elif name == "scan":
        first, number = scan_sizes(params)
        yield Inside(params["jaxpr"], operands, results, [(i, first + i) for i in range(number)])
    elif _CONDITION in params:
        first, second = params["cond_nconsts"], params["body_nconsts"]
        state = operands[first + second :]
        carried = [(i, second + i) for i in range(len(state))]
        yield Inside(params[_CONDITION], [*operands[:first], *state], ())
        yield Inside(params["body_jaxpr"], operands[first:], results, carried)
