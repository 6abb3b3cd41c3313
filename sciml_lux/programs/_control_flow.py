"""The rules of control flow, for values of any kind."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from jax import lax

from ._jax import (
    Atom,
    ClosedJaxpr,
    Jaxpr,
    Value,
    bind_again,
    closes_over_tracers,
    expansion,
    open_jaxpr,
    retraced,
    scan_sizes,
)
from ._rule import Call, Rule


def inlined(call: Call, *values: Value) -> list[Value]:
    """The rule that evaluates a call in place, for values of any kind.

    The call leaves no trace in the result: no compiled function, and no derivative rule of a
    `custom_jvp_call` or `custom_vjp_call`.

    Example:
        >>> import jax
        >>> from sciml_lux.programs import interpret
        >>> program = jax.make_jaxpr(jax.jit(lambda x: 2 * x))(0.5)
        >>> rules = {"jit": inlined, "mul": lambda call, x, y: f"{x} {y}"}
        >>> interpret(program, ["x"], rules, lift=str)
        ['2.0 x']
    """
    return call.evaluate(_called(call), values)


def _jit(call: Call, *values: Value) -> list[Value]:
    if (rebound := _rebound(call, values)) is not None:
        return rebound
    return jax.jit(_function(call, _called(call)))(*_leafy(call, values))


def _remat(call: Call, *values: Value) -> list[Value]:
    if (rebound := _rebound(call, values)) is not None:
        return rebound
    options = {name: call.params[name] for name in ("prevent_cse", "policy")}
    return jax.checkpoint(_function(call, _called(call)), **options)(*_leafy(call, values))


def _closed_call(call: Call, *values: Value) -> list[Value]:
    rebound = _rebound(call, values)
    return inlined(call, *values) if rebound is None else rebound


def _custom(call: Call, *values: Value) -> list[Value]:
    """A call with a derivative rule, which JAX traces again when it is bound."""
    if (rebound := _rebound(call, values, may_close=True)) is not None:
        return rebound
    raise TypeError(
        f"`interpret` cannot keep the derivative rule of the `{call.name}` at {call.line}: its "
        "values are of another type than the rule takes. Put a rule for it into the table; "
        "`programs.inlined` evaluates the function and drops the derivative rule."
    )


def _expanded(call: Call, *values: Value) -> list[Value]:
    program = expansion(call.equation)
    if program is None:
        raise TypeError(f"`interpret` cannot expand the `{call.name}` at {call.line}.")
    return call.evaluate(program, values)


def _scan(call: Call, *values: Value) -> list[Value]:
    if (rebound := _rebound(call, values)) is not None:
        return rebound
    step, (num_constants, num_carried) = call.params["jaxpr"], scan_sizes(call.params)
    constants, rest = values[:num_constants], _leafy(call, values[num_constants:])

    def body(carried: list[Value], row: list[Value]) -> tuple[list[Value], list[Value]]:
        results = call.evaluate(step, [*constants, *carried, *row])
        return results[:num_carried], results[num_carried:]

    options = {name: call.params[name] for name in ("length", "reverse", "unroll")}
    carried, rows = list(rest[:num_carried]), list(rest[num_carried:])
    with _explained(call):
        carried, rows = lax.scan(body, carried, rows, **options)
    return [*carried, *rows]


def _while(call: Call, *values: Value) -> list[Value]:
    if (rebound := _rebound(call, values)) is not None:
        return rebound
    params = call.params
    first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    of_condition, of_body = values[:first], values[first:second]

    def condition(carried: list[Value]) -> Value:
        return _one_leaf(call, call.evaluate(params["cond_jaxpr"], [*of_condition, *carried])[0])

    def body(carried: list[Value]) -> list[Value]:
        return call.evaluate(params["body_jaxpr"], [*of_body, *carried])

    with _explained(call):
        return lax.while_loop(condition, body, list(_leafy(call, values[second:])))


def _cond(call: Call, *values: Value) -> list[Value]:
    if (rebound := _rebound(call, values)) is not None:
        return rebound
    branches = [_function(call, branch) for branch in call.params["branches"]]
    with _explained(call):
        return lax.switch(_one_leaf(call, values[0]), branches, *_leafy(call, values[1:]))


CONTROL_FLOW: Mapping[str, Rule] = {
    "jit": _jit,
    "remat": _remat,
    "call": _closed_call,
    "closed_call": _closed_call,
    "eval_jaxpr": _closed_call,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
    "call_hi_primitive": _expanded,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
INLINED: Mapping[str, Rule] = dict.fromkeys(
    ["jit", "remat", "call", "closed_call", "eval_jaxpr", "custom_jvp_call", "custom_vjp_call"],
    inlined,
)


def _rebound(call: Call, values: tuple[Value, ...], may_close: bool = False) -> list[Value] | None:
    """The results of the equation, bound again with its programs interpreted.

    None where a type has changed, and where a rule closes over a tracer from outside, unless
    `may_close` says that the primitive takes such programs.
    """
    if not all(map(_has_type_of, values, call.equation.invars)):
        return None
    params = {}
    for name, part in call.params.items():
        programs = part if isinstance(part, tuple) else (part,)
        if not programs or not isinstance(programs[0], ClosedJaxpr | Jaxpr):
            continue
        new = [_same_type(call, program, may_close) for program in programs]
        if None in new:
            return None
        params[name] = tuple(new) if isinstance(part, tuple) else new[0]
    return bind_again(call.equation, values, call.params | params)


def _same_type(
    call: Call, program: ClosedJaxpr | Jaxpr, may_close: bool
) -> ClosedJaxpr | Jaxpr | None:
    """`program` interpreted; None unless the result is a program of the same type."""
    results = open_jaxpr(program).outvars
    same = []

    def interpreted(*values: Value) -> list[Value]:
        found = call.evaluate(program, values)
        same.extend(map(_has_type_of, found, results))
        return found if all(same) else []

    new = retraced(program, interpreted)
    if not all(same) or (closes_over_tracers(new) and not may_close):
        return None
    if not isinstance(program, ClosedJaxpr):
        return None if new.consts else new.jaxpr
    # From jax 0.12 on, these programs are closed as well, and must be without constants still.
    return None if new.consts and call.name in ("remat", "call") else new


def _has_type_of(value: Value, variable: Atom) -> bool:
    """Whether `value` is a JAX value of the type of `variable`; weakly typed or not is the same."""
    try:
        found = jax.typeof(value)
    except TypeError:
        return False
    wanted: Any = variable.aval
    if not (hasattr(found, "dtype") and hasattr(wanted, "dtype")):
        return found == wanted
    return found.shape == wanted.shape and found.dtype == wanted.dtype


def _called(call: Call) -> ClosedJaxpr | Jaxpr:
    return call.params["call_jaxpr" if "call_jaxpr" in call.params else "jaxpr"]


def _function(call: Call, program: ClosedJaxpr | Jaxpr) -> Callable[..., list[Value]]:
    return lambda *values: call.evaluate(program, values)


def _leafy(call: Call, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """`values`, which must be pytrees of arrays to cross control flow."""
    for leaf in jax.tree.leaves(values):
        try:
            jax.typeof(leaf)
        except TypeError as error:
            raise TypeError(
                f"`interpret` expects pytrees of arrays through the `{call.name}` at {call.line}, "
                f"got {leaf!r} of type {type(leaf).__name__}. Put a rule for `{call.name}` into "
                "the table; `programs.INLINED` has those that evaluate calls in place."
            ) from error
    return values


def _one_leaf(call: Call, value: Value) -> Value:
    """The one array that a condition must be."""
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1:
        raise TypeError(
            f"`interpret` expects one array for the `{call.name}` at {call.line} to decide by, got "
            f"a value with {len(leaves)} leaves. Let the rules of comparisons return an array."
        )
    return leaves[0]


@contextlib.contextmanager
def _explained(call: Call) -> Iterator[None]:
    """Add to JAX's errors about carried values and branches what `interpret` asks of them."""
    try:
        yield
    except TypeError as error:
        error.add_note(
            f"`interpret` was evaluating the `{call.name}` at {call.line}, through which each "
            "value must keep its structure and types."
        )
        raise
