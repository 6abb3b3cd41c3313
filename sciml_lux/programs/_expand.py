"""expanded: a program in which no primitive hides what it is made of."""

from typing import Any

from ._jax import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    closed_call_p,
    constants_of,
    expansion,
    open_jaxpr,
)


def expanded(program: ClosedJaxpr) -> ClosedJaxpr:
    """`program` with a call of its own program for each primitive that is made of others.

    These are `call_hi_primitive` of newer JAX and equinox's filter primitives, among them the
    solves of lineax. The result is for reading: derivative rules of such primitives are lost.

    Args:
        program: what `jax.make_jaxpr` returns.

    Returns:
        The same program where there is nothing to expand.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(lambda x: 2 * x)(0.5)
        >>> expanded(program) is program
        True
    """
    return _program(program)


def _program(program: Any) -> Any:
    """`program` itself where there is nothing to expand."""
    jaxpr = open_jaxpr(program)
    equations = [_equation(equation) for equation in jaxpr.eqns]
    if all(new is old for new, old in zip(equations, jaxpr.eqns, strict=True)):
        return program
    jaxpr = jaxpr.replace(eqns=equations)
    if isinstance(program, ClosedJaxpr):
        return ClosedJaxpr(jaxpr, constants_of(program))
    return jaxpr


def _equation(equation: JaxprEqn) -> JaxprEqn:
    if (program := expansion(equation)) is not None:
        params = {"call_jaxpr": _program(program), "name": equation.primitive.name}
        return equation.replace(primitive=closed_call_p, params=params)
    new = {name: _value(value) for name, value in equation.params.items()}
    changed = any(new[name] is not value for name, value in equation.params.items())
    return equation.replace(params=new) if changed else equation


def _value(value: Any) -> Any:
    """A parameter of an equation, with the programs at any depth of it expanded."""
    if isinstance(value, ClosedJaxpr | Jaxpr):
        return _program(value)
    if type(value) in (tuple, list):
        new = [_value(part) for part in value]
        changed = any(a is not b for a, b in zip(new, value, strict=True))
        return type(value)(new) if changed else value
    return value
