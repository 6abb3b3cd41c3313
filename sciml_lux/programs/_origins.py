"""origins: which results of a program are a value that was there before."""

from collections.abc import Sequence
from typing import Any

from ._inside import inside
from ._jax import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, open_jaxpr, primitive_name

_IDENTITIES = frozenset({"stop_gradient", "optimization_barrier", "copy", "copy_p"})


def origins(program: ClosedJaxpr | Jaxpr) -> list[Atom]:
    """For each result of `program`, the variable whose value it is, found through calls and loops.

    Two results with one origin are the same value whatever the arguments. What is computed is its
    own origin, though the number be the same: x + 0 is not x.

    Example:
        >>> import jax
        >>> f = jax.jit(lambda x, n: (x, x + 0, jax.lax.fori_loop(0, 3, lambda i, n: n, n)))
        >>> program = jax.make_jaxpr(f)(0.5, 2)
        >>> [place in program.jaxpr.invars for place in origins(program)]
        [True, False, True]
    """
    jaxpr, known = open_jaxpr(program), {}
    for equation in jaxpr.eqns:
        for result, operand in _passed_on(equation):
            known[result] = _origin(operand, known)
    return [_origin(atom, known) for atom in jaxpr.outvars]


def _origin(atom: Atom, known: dict[Var, Atom]) -> Atom:
    return atom if isinstance(atom, Literal) else known.get(atom, atom)


def _passed_on(equation: JaxprEqn) -> list[tuple[Var, Atom]]:
    """The results of `equation` that are operands of it, with these."""
    if primitive_name(equation) in _IDENTITIES:
        return list(zip(equation.outvars, equation.invars, strict=True))
    parts = [_through(part, equation) for part in inside(equation) if part.results]
    if not parts:
        return []
    return [
        (result, operand)
        for index, result in enumerate(equation.outvars)
        if (operand := parts[0].get(index)) is not None
        and all(part.get(index) is operand for part in parts)
    ]


def _through(part: Any, equation: JaxprEqn) -> dict[int, Atom]:
    """By the number of a result, the operand that the program inside passes on."""
    arguments: Sequence[Var] = open_jaxpr(part.program).invars
    places = {variable: index for index, variable in enumerate(arguments)}
    found = [
        None if isinstance(origin, Literal) else places.get(origin)
        for origin in origins(part.program)
    ]
    if primitive_name(equation) in ("scan", "while"):
        # Only what each iteration hands on as it got it; whatever their number, it is the same.
        return {i: part.operands[j] for i, j in part.carried if found[i] == j}
    return {i: part.operands[j] for i, j in enumerate(found) if j is not None}
