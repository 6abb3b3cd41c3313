"""by_components: a traced function as scalar operations."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ...programs import INLINED, Call, ClosedJaxpr, bind, interpret
from ._arithmetic import arithmetic_rules
from ._branch import branch
from ._components import (
    Components,
    are_numbers,
    is_constant,
    joined,
    lifted,
    numbers,
    of_atoms,
    split,
)
from ._derivative import with_derivative_of_primitive
from ._emitter import Atom, Emitter, Operation, vectors
from ._movement import MOVEMENT
from ._places import places_rules
from ._refusal import Refusal, refusal, refuse

MOST_OPERATIONS = 20_000


def by_components(
    program: ClosedJaxpr, emitter: Emitter = vectors, most: int = MOST_OPERATIONS
) -> Callable[..., list[Atom]]:
    """`program` as a function of the components of its arguments, one scalar operation at a time.

    What moves entries becomes nothing. A `custom_jvp_call` keeps its derivative rule, by components
    as well.

    Args:
        program: of one trajectory, what `jax.make_jaxpr` returns.
        emitter: what an operation becomes; `vectors` does it by JAX.
        most: operations; more are refused.

    Returns:
        `function(*atoms)`, of the components of all arguments one after the other, which returns
        those of all results.

    Raises:
        Refusal: when the function is called: why the program has no such form.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> rotation = jax.make_jaxpr(lambda y: jnp.stack([-y[1], y[0]]))(jnp.ones(2))
        >>> first, second = jnp.arange(3.0), jnp.ones(3)  # of three trajectories
        >>> print(*by_components(rotation)(first, second))
        [-1. -1. -1.] [0. 1. 2.]
    """
    types: list[Any] = [v.aval for v in program.jaxpr.invars]
    shapes = [t.shape for t in types]

    def function(*atoms: Atom) -> list[Atom]:
        rules = _rules(_Counted(emitter, most))
        found = interpret(program, split(atoms, shapes), rules, default=_refused, lift=lifted)
        return joined(found)

    return function


def why_not_by_components(program: ClosedJaxpr, most: int = MOST_OPERATIONS) -> str:
    """Why `program`, or its derivative, has no form by components; empty if it has.

    Args:
        program: as in `by_components`.
        most: operations of its value.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> why_not_by_components(jax.make_jaxpr(jnp.sort)(jnp.ones(3)))[:6]
        '`sort`'
    """
    types: list[Any] = [v.aval for v in program.jaxpr.invars]
    scalars = [jax.ShapeDtypeStruct((), t.dtype) for t in types for _ in range(t.size)]
    moving = [jnp.issubdtype(s.dtype, jnp.inexact) for s in scalars]
    function = by_components(program)

    def moved(*atoms: Atom) -> Any:
        def of(*some: Atom) -> list[Atom]:
            rest = iter(some)
            return function(*(next(rest) if m else a for m, a in zip(moving, atoms, strict=True)))

        some = [a for m, a in zip(moving, atoms, strict=True) if m]
        return jax.jvp(of, some, some)

    try:
        jax.eval_shape(by_components(program, most=most), *scalars)
        jax.eval_shape(moved, *scalars)
    except Refusal as found:
        return str(found)
    except (NotImplementedError, jax.dtypes.TypePromotionError) as found:
        # JAX's, of a primitive without a derivative, or with a rule that does not take its types.
        return f"{str(found).rstrip('.')}."
    return ""


class _Counted:
    """An emitter of not too many operations."""

    def __init__(self, emitter: Emitter, most: int) -> None:
        self.emitter = emitter
        self.most = most
        self.number = 0

    def __call__(self, operation: Operation, *atoms: Atom) -> Atom:
        self.number += 1
        if self.number > self.most:
            raise Refusal(f"more than {self.most} scalar operations are faster on arrays.")
        return self.emitter(operation, *atoms)


def _rules(emitter: Emitter) -> Mapping[str, Callable[..., Any]]:
    rules = {**arithmetic_rules(emitter), **places_rules(emitter), **MOVEMENT}
    whole = {name: _folded(rule) for name, rule in rules.items()}
    return {
        **dict.fromkeys(("scan", "while", "call_hi_primitive"), _refused),
        **INLINED,
        **whole,
        "cond": branch,
        "custom_jvp_call": _custom_jvp,
        "custom_vjp_call": refuse,
    }


def _custom_jvp(call: Call, *operands: Components) -> list[Components]:
    def values(*operands: Components) -> list[Components]:
        return call.evaluate(call.params["call_jaxpr"], operands)

    if all(map(is_constant, operands)):
        return values(*operands)
    return with_derivative_of_primitive(call, values, operands)


def _folded(rule: Callable[..., Any]) -> Callable[..., Any]:
    """`rule`, or for operands that are numbers the numbers that result."""

    @functools.wraps(rule)
    def folded(call: Call, *operands: Components) -> Any:
        types: list[Any] = [v.aval for v in (*call.equation.invars, *call.equation.outvars)]
        if any(jnp.issubdtype(t.dtype, jnp.complexfloating) for t in types):
            raise refusal(call, "a complex number is not one component")
        if call.equation.effects or any(
            jnp.issubdtype(t.dtype, jax.dtypes.extended) for t in types
        ):
            return refuse(call)
        if not all(map(is_constant, operands)):
            return rule(call, *(_few_atoms(call, x) for x in operands))
        pairs = zip(operands, types, strict=False)
        with jax.ensure_compile_time_eval():
            found = bind(call, *(jnp.asarray(numbers(x, t.dtype)) for x, t in pairs))
        return list(map(lifted, found)) if isinstance(found, list | tuple) else lifted(found)

    return folded


def _few_atoms(call: Call, x: Components) -> Components:
    """The array of atoms, unless it is a table of numbers: each would be an object of Python."""
    if are_numbers(x) and x.size > MOST_OPERATIONS:
        raise refusal(call, f"a constant of {x.size} entries is faster as an array")
    return of_atoms(x)


_refused = _folded(refuse)
