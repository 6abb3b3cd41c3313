"""with_own_derivative: a function with a rule for its derivative, of every order and everywhere.

It is `jax.custom_jvp` as a primitive. JAX forgets the rule of a `custom_jvp` function inside a
`lax.scan` once that has been differentiated in reverse: looking for what does not change from one
iteration to the next, it takes the function apart. A primitive stays whole.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from ..._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    is_inexact,
    is_mapped,
    is_zero,
    jaxpr_as_fun,
    program_of,
    register,
    zero_like,
)

Tangents = Sequence[Value | None]
Rule = Callable[[Sequence[Value], Tangents], tuple[list[Value], Tangents]]
"""The results and their tangents, of operands and theirs; None is a tangent that is 0."""

own_derivative_p = Primitive("own_derivative")
own_derivative_p.multiple_results = True


def with_own_derivative(function: Callable[..., PyTree], rule: Rule, *given: PyTree) -> Any:
    """`function(*given)`, whose derivative is what `rule` says of the leaves.

    Args:
        function: of trees of arrays.
        rule: of their leaves; it, too, closes over no traced arrays.
        given: the trees.
    """
    leaves, tree = jax.tree.flatten(given)
    structures = []

    def flat(*leaves: Value) -> list[Value]:
        found, structure = jax.tree.flatten(function(*tree.unflatten(leaves)))
        structures.append(structure)
        return found

    program, constants = program_of(flat, [jax.typeof(leaf) for leaf in leaves])

    def of_leaves(operands: Sequence[Value], tangents: Tangents) -> tuple[list[Value], Tangents]:
        return rule(operands[len(constants) :], tangents[len(constants) :])

    found = own_derivative_p.bind(*constants, *leaves, call_jaxpr=program, rule=of_leaves)
    return structures[0].unflatten(found)


def _run(*operands: Value, call_jaxpr: ClosedJaxpr, rule: Rule) -> list[Value]:
    return jaxpr_as_fun(call_jaxpr)(*operands)


def _types(*operands: Value, call_jaxpr: ClosedJaxpr, rule: Rule) -> list[Any]:
    return [(t.shape, t.dtype) for t in call_jaxpr.out_avals]


def _jvp(
    operands: Sequence[Value], tangents: Sequence[Value], *, call_jaxpr: ClosedJaxpr, rule: Rule
) -> tuple[list[Value], list[Value]]:
    results, moved = rule(operands, [None if is_zero(t) else t for t in tangents])
    pairs = zip(results, moved, strict=True)
    return results, [zero_like(y) if dy is None else dy for y, dy in pairs]


def _batch(
    operands: Sequence[Value],
    axes: Sequence[int | None],
    *,
    call_jaxpr: ClosedJaxpr,
    rule: Rule,
) -> tuple[list[Value], list[int | None]]:
    """The function of all members, and the rule of each; integers that all share stay so."""
    size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
    one, out_axes = jaxpr_as_fun(call_jaxpr), []

    def parted(*operands: Value) -> dict[str, list[Value]]:
        found = one(*operands)
        out_axes[:] = [0 if is_inexact(y) or is_mapped(y) else None for y in found]
        return _by_axis(found, out_axes)

    def whole(*operands: Value) -> list[Value]:
        by_axis = {"mapped": 0, "shared": None}
        found = jax.vmap(parted, tuple(axes), by_axis, axis_size=size)(*operands)
        rest = {axis: iter(found[name]) for name, axis in by_axis.items()}
        return [next(rest[axis]) for axis in out_axes]

    program, constants = program_of(whole, operands)

    def rule_of_all(operands: Sequence[Value], tangents: Tangents) -> tuple[list[Value], Tangents]:
        operands, tangents = operands[len(constants) :], tangents[len(constants) :]
        moves: list[bool] = []

        def rule_of_one(operands: Sequence[Value], tangents: Tangents) -> Any:
            results, moved = rule(operands, tangents)
            moves[:] = [t is not None for t in moved]
            return results, [t for t in moved if t is not None]

        moving = [None if t is None else a for t, a in zip(tangents, axes, strict=True)]
        mapped = jax.vmap(rule_of_one, (list(axes), moving), (out_axes, 0), axis_size=size)
        results, moved = mapped(list(operands), list(tangents))
        rest = iter(moved)
        return results, [next(rest) if m else None for m in moves]

    operands = [*constants, *operands]
    found = own_derivative_p.bind(*operands, call_jaxpr=program, rule=rule_of_all)
    return found, out_axes


def _by_axis(values: Sequence[Value], axes: Sequence[int | None]) -> dict[str, list[Value]]:
    pairs = list(zip(values, axes, strict=True))
    return {
        "mapped": [value for value, axis in pairs if axis is not None],
        "shared": [value for value, axis in pairs if axis is None],
    }


register(own_derivative_p, run=_run, types=_types, batch=_batch, jvp=_jvp)
