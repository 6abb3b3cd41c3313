"""with_pullback: a function whose reverse mode is a rule of its own, and forward mode is its own.

Like `jax.custom_vjp`, but forward mode works: a tangent is that of the function itself, and only
its transpose is the rule. So derivatives nest: those of the rule are JAX's.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..._primitive import (
    Primitive,
    Value,
    instantiated,
    is_undefined,
    is_zero,
    register,
    zero_like,
)
from ._own_derivative import Tangents, with_own_derivative

pulled_back_p = Primitive("pulled_back")
pulled_back_p.multiple_results = True

Pull = Callable[[PyTree, PyTree, PyTree, list[bool]], list[Value | None]]
"""Cotangents of the leaves of what is given, of it, what was kept, cotangents, and who moves."""


def with_pullback(
    function: Callable[[PyTree], tuple[PyTree, PyTree]],
    kept: Callable[[PyTree], tuple[PyTree, PyTree, PyTree]],
    pull: Pull,
    given: PyTree,
    *,
    tangent: Callable[[PyTree], PyTree] | None = None,
) -> Any:
    """`function(given)`, whose derivative in reverse mode is what `pull` says.

    None of the functions closes over traced arrays: these are in `given`.

    Args:
        function: of a tree, a pair: what has derivatives, and other results.
        kept: the same pair, and what `pull` reads, computed where a derivative is taken.
        pull: of `given`, what was kept, the cotangents of what has derivatives, and which leaves
            of `given` move, the cotangents of all leaves; those that do not move may be None.
        given: a tree of arrays.
        tangent: the function of what has derivatives that forward mode takes the tangent of; None
            for `function` itself.
    """
    tree = jax.tree.structure(given)

    def rule(operands: Sequence[Value], tangents: Tangents) -> tuple[list[Value], Tangents]:
        moved = _moved(tangent or (lambda given: function(given)[0]), kept, pull, tree)
        return moved(operands, tangents)

    return with_own_derivative(function, rule, given)


def _moved(function: Callable, kept: Callable, pull: Pull, tree: Any) -> Callable:
    """The rule of `with_own_derivative`."""

    def rule(operands: Sequence[Value], tangents: Tangents) -> tuple[list[Value], Tangents]:
        main, others, residuals = kept(tree.unflatten(operands))
        results, main_tree = jax.tree.flatten(main)
        flags = [t is not None for t in tangents]
        residuals, residuals_tree = jax.tree.flatten(residuals)

        def moved_only(operands: Sequence[Value]) -> list[Value]:
            return jax.tree.leaves(function(tree.unflatten(operands)))

        def pulled(operands: Sequence[Value], kept: Sequence[Value], ct: Sequence[Value]) -> list:
            given, cotangents = tree.unflatten(operands), main_tree.unflatten(ct)
            found = pull(given, residuals_tree.unflatten(kept), cotangents, flags)
            return [
                _like(c, x) for c, x in itertools.compress(zip(found, operands, strict=True), flags)
            ]

        moving = [t for t in tangents if t is not None]
        dresults = pulled_back_p.bind(
            *operands,
            *residuals,
            *moving,
            push=functools.partial(_pushed, moved_only, tuple(flags)),
            pull=pulled,
            flags=tuple(flags),
            kept=len(residuals),
            out=tuple((y.shape, y.dtype) for y in results),
        )
        rest = jax.tree.leaves(others)
        return [*results, *rest], [*dresults, *[None for _ in rest]]

    return rule


def _like(cotangent: Value | None, value: Value) -> Any:
    """A cotangent in the dtype of the value, which may be narrower than sums are."""
    if cotangent is None:
        return jnp.zeros(value.shape, value.dtype)
    return cotangent if cotangent.dtype == value.dtype else cotangent.astype(value.dtype)


def _split(operands: Sequence[Value], flags: tuple[bool, ...], kept: int) -> tuple[list, ...]:
    """What is given, what was kept, and the tangents of what moves."""
    count = len(flags)
    return (
        list(operands[:count]),
        list(operands[count : count + kept]),
        list(operands[count + kept :]),
    )


def _pushed(
    function: Callable[[Sequence[Value]], list[Value]],
    flags: tuple[bool, ...],
    given: Sequence[Value],
    tangents: Sequence[Value],
) -> list[Value]:
    """The tangent of the function itself."""

    def of_moving(*moving: Value) -> list[Value]:
        rest = iter(moving)
        return function([next(rest) if f else x for f, x in zip(flags, given, strict=True)])

    moving = list(itertools.compress(given, flags))
    return jax.jvp(of_moving, tuple(moving), tuple(tangents))[1]


def _run(*operands: Value, push: Callable, flags: tuple[bool, ...], kept: int, **_: Any) -> Any:
    given, _kept, tangents = _split(operands, flags, kept)
    return push(given, tangents)


def _types(*operands: Value, out: Any, **_: Any) -> Any:
    return list(out)


def _jvp(operands: Sequence[Value], tangents: Sequence[Value], **params: Any) -> Any:
    flags, kept = params["flags"], params["kept"]
    count = len(flags) + kept
    results = pulled_back_p.bind(*operands, **params)
    if all(map(is_zero, tangents[:count])):
        if all(map(is_zero, tangents)):
            return results, list(map(zero_like, results))
        moving = [instantiated(t) for t in tangents[count:]]
        return results, pulled_back_p.bind(*operands[:count], *moving, **params)
    inexact = [i for i, t in enumerate(tangents) if not is_zero(t)]

    def of_moving(*moving: Value) -> Any:
        found = list(operands)
        for i, value in zip(inexact, moving, strict=True):
            found[i] = value
        return _run(*found, **params)

    primals = tuple(operands[i] for i in inexact)
    return results, jax.jvp(of_moving, primals, tuple(tangents[i] for i in inexact))[1]


def _transpose(cotangents: Sequence[Value], *operands: Value, **params: Any) -> list[Value | None]:
    flags, kept, pull = params["flags"], params["kept"], params["pull"]
    given, residuals, tangents = _split(operands, flags, kept)
    cotangents = [
        jnp.zeros(shape, dtype) if is_zero(c) else c
        for c, (shape, dtype) in zip(cotangents, params["out"], strict=True)
    ]
    found = pull(given, residuals, cotangents)
    pairs = zip(found, tangents, strict=True)
    known = [None for _ in (*given, *residuals)]
    return [*known, *(c if is_undefined(t) else None for c, t in pairs)]


def _batch(operands: Sequence[Value], axes: Sequence[int | None], **params: Any) -> Any:
    flags, kept = params["flags"], params["kept"]
    given_axes, kept_axes, _ = _split(axes, flags, kept)
    size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
    count = len(flags) + kept
    tangents = [
        jnp.broadcast_to(t, (size, *t.shape)) if a is None else jnp.moveaxis(t, a, 0)
        for t, a in zip(operands[count:], axes[count:], strict=True)
    ]
    mapped = functools.partial(jax.vmap, axis_size=size)
    params |= {
        "push": mapped(params["push"], in_axes=(given_axes, 0)),
        "pull": mapped(params["pull"], in_axes=(given_axes, kept_axes, 0)),
        "out": tuple(((size, *shape), dtype) for shape, dtype in params["out"]),
    }
    # An operand that is not mapped has one cotangent, the sum over the batch: its tangent was
    # broadcast above, and the transpose of that adds.
    found = pulled_back_p.bind(*operands[:count], *tangents, **params)
    return found, [0 for _ in found]


register(pulled_back_p, run=_run, types=_types, batch=_batch, jvp=_jvp, transpose=_transpose)
