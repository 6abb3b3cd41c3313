"""The one batch axis of a kernel: the last of every operand that is not shared, and of results.

Where no operand has one there is one member, and results have none either.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from .._primitive import ClosedJaxpr, Primitive, Value, jaxpr_as_fun

Flags = tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Member:
    """The program of one member of a batch, without constants, made when it is asked for.

    In a value of its own, so that what reads programs finds that of the batch alone.

    Args:
        make: that program.
        batch: the program of a batch, of which operands are mapped and the types of all; None, or
            one that returns None, for `vmap` of that of a member.
    """

    make: Callable[[], ClosedJaxpr]
    batch: Callable[[Flags, Sequence[Value]], ClosedJaxpr | None] | None = None

    @functools.cached_property
    def program(self) -> ClosedJaxpr:
        """That program."""
        return self.make()

    def of_all(self, mapped: Flags, types: Sequence[Value]) -> ClosedJaxpr:
        """The program of a batch, for operands of these types, the last axis of which is mapped."""
        found = self.batch and self.batch(mapped, types)
        if found is not None:
            return found
        axes = tuple(-1 if flag else None for flag in mapped)
        structs = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types]
        return jax.make_jaxpr(jax.vmap(jaxpr_as_fun(self.program), axes, -1))(*structs)


def bind(
    primitive: Primitive,
    member: Member,
    operands: Sequence[Value],
    mapped: Flags,
    size: int,
    **options: Any,
) -> list[Value]:
    """The results of all of a batch, by `primitive`.

    Args:
        primitive: what is bound.
        member: one of the batch.
        operands: its operands, those that are mapped with the batch as their last axis.
        mapped: which these are.
        size: the number of members; 1 where nothing is mapped.
        options: parameters that `primitive` has besides `member`, `mapped`, `size`, and
            `call_jaxpr`, the program of the batch.
    """
    whole = member.program
    if any(mapped):
        whole = member.of_all(mapped, list(map(jax.typeof, operands)))
    return primitive.bind(
        *operands, call_jaxpr=whole, member=member, mapped=mapped, size=size, **options
    )


def batch_rule(
    primitive: Primitive, shared: Callable[..., int | None] = lambda **_: None
) -> Callable[..., tuple[list[Value], list[int]]]:
    """The rule of `vmap`, which folds its axis into the one of the batch.

    Args:
        primitive: of which it is the rule.
        shared: of its parameters, how many operands members can share; None for all.
    """

    def rule(
        operands: Sequence[Value],
        axes: Sequence[int | None],
        *,
        call_jaxpr: ClosedJaxpr,
        member: Member,
        mapped: Flags,
        size: int,
        **options: Any,
    ) -> tuple[list[Value], list[int]]:
        more = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
        first = shared(**options)
        own = [first is not None and i >= first for i in range(len(operands))]
        both = tuple(m or a is not None or o for m, a, o in zip(mapped, axes, own, strict=True))
        given = [
            _folded(x, axis, was, more, size) if is_now else x
            for x, axis, was, is_now in zip(operands, axes, mapped, both, strict=True)
        ]
        found = bind(primitive, member, given, both, more * size, **options)
        places = [result.ndim - 1 for result in found]
        if not any(mapped):
            return found, places
        return [y.reshape(*y.shape[:-1], more, size) for y in found], places

    return rule


def _folded(x: Value, axis: int | None, is_mapped: bool, more: int, size: int) -> Value:
    """`x` with one axis for both batches, its last, in which the new one changes slowest."""
    x = x if is_mapped else jnp.expand_dims(x, -1)
    x = jnp.expand_dims(x, -2) if axis is None else jnp.moveaxis(x, axis, -2)
    shape = x.shape[:-2]
    return jnp.broadcast_to(x, (*shape, more, size)).reshape(*shape, more * size)
