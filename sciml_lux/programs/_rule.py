"""What a rule is: a function of the equation's `Call` and its operands."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ._jax import ClosedJaxpr, Jaxpr, JaxprEqn, bind_again, primitive_name

Evaluate = Callable[[ClosedJaxpr | Jaxpr, Sequence[Any]], list[Any]]


class Call(NamedTuple):
    """What a rule is told of the equation that it evaluates.

    Attributes:
        equation: the equation, with its `params` and the types of its operands and results.
        evaluate: `evaluate(program, values)` evaluates a program inside it by the same table.
        line: the user's source line, "?" if unknown.
    """

    equation: JaxprEqn
    evaluate: Evaluate
    line: str

    @property
    def name(self) -> str:
        """The primitive's name."""
        return primitive_name(self.equation)

    @property
    def params(self) -> dict[str, Any]:
        """The equation's parameters."""
        return self.equation.params


Rule = Callable[..., Any]


def bind(call: Call, *values: Any) -> Any:
    """The rule by which a primitive computes what it computes in the program."""
    return bind_again(call.equation, values, call.params)
