"""A rule: a function of an equation's `Call` and the values of its operands."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ._jax import ClosedJaxpr, Jaxpr, JaxprEqn, Params, Value, bind_again, primitive_name
from ._site import Site

Evaluate = Callable[[ClosedJaxpr | Jaxpr, Sequence[Value]], list[Value]]


class Call(NamedTuple):
    """What a rule is told about the equation that it evaluates.

    Attributes:
        equation: the equation, with its `params` and the types of its operands and results.
        evaluate: `evaluate(program, values)` evaluates a program inside it by the same table.
        site: where it is.

    Example:
        >>> import jax
        >>> from sciml_lux.programs import interpret
        >>> rules = {"mul": lambda call, x, y: (call.name, y)}
        >>> interpret(jax.make_jaxpr(lambda x: 2 * x)(0.5), ["x"], rules)
        [('mul', 'x')]
    """

    equation: JaxprEqn
    evaluate: Evaluate
    site: Site

    @property
    def name(self) -> str:
        """The primitive's name."""
        return primitive_name(self.equation)

    @property
    def line(self) -> str:
        """The user's source line, "?" if unknown."""
        return self.site.line

    @property
    def params(self) -> Params:
        """The equation's parameters."""
        return self.equation.params


Rule = Callable[..., Any]


def bind(call: Call, *values: Value) -> Value:
    """The rule that leaves a primitive as it is: it computes what it computes in the program.

    Example:
        >>> import jax
        >>> from sciml_lux.programs import interpret
        >>> program = jax.make_jaxpr(lambda x: 2 * jax.numpy.cos(x))(0.5)
        >>> [y] = interpret(program, [0.0], {"cos": lambda call, x: x + 3}, default=bind)
        >>> float(y)
        6.0
    """
    return bind_again(call.equation, values, call.params)
