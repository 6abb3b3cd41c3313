"""interpret: a traced program evaluated by a table of rules."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ._control_flow import CONTROL_FLOW
from ._jax import (
    Atom,
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    Value,
    constants_of,
    context_of,
    open_jaxpr,
    primitive_name,
    variables,
)
from ._rule import Call, Rule
from ._site import Site


def interpret(
    program: ClosedJaxpr,
    args: Sequence[Value],
    rules: Mapping[str, Rule],
    *,
    default: Rule | None = None,
    lift: Callable[[Any], Value] = lambda constant: constant,
) -> list[Value]:
    """Evaluate `program` with a rule for each primitive.

    A value is an array, or a pytree of arrays of the caller's choice, such as the high and low part
    of a number, or a number with its derivatives. Control flow needs no rule: `jit`, `remat`,
    `scan`, `while`, `cond`, `custom_jvp_call`, `custom_vjp_call`, closed calls and
    `call_hi_primitive` have their own, which a rule in the table replaces.

    - Where the values have the types that the program expects, the equation is bound again with
      its inner programs interpreted: a table of `bind` gives the same program, and custom
      derivative rules stay in force, as they were written.
    - Values of other types pass through `scan`, `while` and `cond` as their leaves. `scan` splits
      every leaf along its first axis, a carry must come back with the structure and types that it
      went in with, the branches of `cond` must agree, and the condition must have one leaf.
    - For values of other types a custom derivative rule is an error. The table `INLINED` evaluates
      calls in place, without their derivative rules; values that are not pytrees of arrays at all,
      such as strings, need it.
    - A `call_hi_primitive` is evaluated by its expansion; `bind` in the table keeps it whole, with
      its own derivative rule.
    - Programs inside any other primitive (`custom_linear_solve`, kernels) are left to its rule;
      `bind` binds them unchanged.

    Args:
        program: what `jax.make_jaxpr` returns.
        args: a value for each flat argument of the program.
        rules: for the name of each primitive, a function `rule(call, *values)` that returns the
            value of the result, or a list of them where the primitive has several results. `call`
            is a `Call`.
        default: the rule of primitives that are not in the table, such as `bind`, which leaves
            them unchanged. Without one they are an error.
        lift: turns a constant of the program into a value.

    Returns:
        The value of each result.

    Raises:
        LookupError: a primitive without a rule, named with its source line.
        TypeError: values that control flow cannot take.
        ValueError: another number of `args` than the program has.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> program = jax.make_jaxpr(lambda x: 2 * jnp.sin(x))(0.5)
        >>> rules = {"sin": lambda call, x: f"sin({x})", "mul": lambda call, x, y: f"{x} {y}"}
        >>> interpret(program, ["x"], rules, lift=str)
        ['2.0 sin(x)']
    """
    if len(args) != len(program.jaxpr.invars):
        raise ValueError(
            f"`interpret` expects `args` to hold {len(program.jaxpr.invars)} values, one for each "
            f"flat argument of the program, got {len(args)}."
        )
    return _Interpreter({**CONTROL_FLOW, **rules}, default, lift).evaluate(program, args)


class _Interpreter(NamedTuple):
    rules: Mapping[str, Rule]
    default: Rule | None
    lift: Callable[[Any], Value]
    around: Site = Site()

    def evaluate(self, program: ClosedJaxpr | Jaxpr, args: Sequence[Value]) -> list[Value]:
        jaxpr = open_jaxpr(program)
        values = dict(zip(jaxpr.constvars, map(self.lift, constants_of(program)), strict=True))
        values |= zip(jaxpr.invars, args, strict=True)

        def read(atom: Atom) -> Value:
            return self.lift(atom.val) if isinstance(atom, Literal) else values[atom]

        last = {atom: i for i, e in enumerate(jaxpr.eqns) for atom in variables(e.invars)}
        returned = set(variables(jaxpr.outvars))
        for i, equation in enumerate(jaxpr.eqns):
            operands = [read(atom) for atom in equation.invars]
            results = self._results(equation, operands)
            values |= zip(equation.outvars, results, strict=True)
            for atom in {*variables(equation.invars), *equation.outvars}:
                if last.get(atom, -1) <= i and atom not in returned:
                    values.pop(atom, None)  # No value lives longer than it would in JAX.
        return [read(atom) for atom in jaxpr.outvars]

    def _results(self, equation: JaxprEqn, operands: list[Value]) -> list[Value]:
        site = self.around.of(equation)
        inner = self._replace(around=site)
        rule = self.rules.get(primitive_name(equation), self.default)
        if rule is None:
            raise LookupError(
                f"`interpret` has no rule for the primitive `{primitive_name(equation)}` at "
                f"{site.line}. Put one into `rules`, or give a `default`."
            )
        with context_of(equation):
            found = rule(Call(equation, inner.evaluate, site), *operands)
        return list(found) if equation.primitive.multiple_results else [found]
