"""What the rules of all propagations share: reading operands, and putting results together."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from jaxtyping import Array

from ...programs import Call, bind
from ..primitives._equations import has_derivative
from ._propagated import Propagated
from ._series import Series

Rule: TypeAlias = Callable[..., Any]
Dependent = TypeVar("Dependent", Propagated, Series)


def depends(operand: Array | Propagated | Series) -> bool:
    """Whether an operand depends on the points."""
    return isinstance(operand, Propagated | Series)


def values_of(operands: Iterable[Array | Propagated | Series]) -> list[Array]:
    """The values alone."""
    return [o.value if isinstance(o, Propagated | Series) else o for o in operands]


def function_of(
    call: Call, operands: Sequence[Array | Propagated | Series], places: Sequence[int]
) -> Callable[..., list[Array]]:
    """The results of `call` that have derivatives, as a function of the operands at `places`."""
    values = values_of(operands)
    kept = [i for i, variable in enumerate(call.equation.outvars) if has_derivative(variable)]

    def function(*changed: Array) -> list[Array]:
        given = list(values)
        for place, value in zip(places, changed, strict=True):
            given[place] = value
        results = bind(call, *given)
        results = results if call.equation.primitive.multiple_results else [results]
        return [results[index] for index in kept]

    return function


def results_of(
    call: Call, operands: Sequence[Array | Dependent], found: Iterable[Dependent]
) -> Array | Dependent | Sequence[Array | Dependent]:
    """The results of an equation: those that have derivatives as `found`, the others computed."""
    found = list(found)
    if not call.equation.primitive.multiple_results:
        return found[0]
    if len(found) == len(call.equation.outvars):
        return found
    plain, rest = bind(call, *values_of(operands)), iter(found)
    return [
        next(rest) if has_derivative(variable) else value
        for variable, value in zip(call.equation.outvars, plain, strict=True)
    ]


def guarded(rule: Rule) -> Rule:
    """`rule` where an operand depends on the points and a result may; else the primitive."""

    @functools.wraps(rule)
    def guarded_rule(call: Call, *operands: Array | Propagated | Series) -> Any:
        if any(map(depends, operands)) and any(map(has_derivative, call.equation.outvars)):
            return rule(call, *operands)
        return bind(call, *values_of(operands))

    return guarded_rule


def constant(call: Call, *operands: Array | Propagated | Series) -> Any:
    """Of what has no derivative other than zero."""
    return bind(call, *values_of(operands))


def without_forward_mode(call: Call, *operands: Array | Propagated | Series) -> Any:
    """Of what has no forward mode.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        "Derivatives by forward mode expect functions that have one, got the `custom_vjp` at "
        f"{call.line}. Give that function a `jax.custom_jvp` rule instead."
    )


def each(rule: Rule, *names: str) -> dict[str, Rule]:
    """`rule` for each of some primitives."""
    return dict.fromkeys(names, rule)
