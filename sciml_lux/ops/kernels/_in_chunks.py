"""A batch on a CPU: a chunk at a time, whose arrays stay in its nearest cache."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._primitive import ClosedJaxpr, Value, jaxpr_as_fun
from ._batch import Flags, Member

CHUNK = 64
"""Members of a chunk."""


def in_chunks(
    *operands: Value,
    call_jaxpr: ClosedJaxpr,
    member: Member,
    mapped: Flags,
    size: int,
    **_: Any,
) -> list[Value]:
    """The results of a batch.

    Args:
        operands: those that are mapped with the batch as their last axis.
        call_jaxpr: the program of the whole batch.
        member: the program of one member.
        mapped: which operands are mapped.
        size: the number of members.
    """
    # A program for `jax.export` may have a symbol for their number.
    count = -(-size // CHUNK) if isinstance(size, int) else 1
    if count <= 1:
        return jaxpr_as_fun(call_jaxpr)(*operands)
    width = -(-size // count)
    types = [
        jax.ShapeDtypeStruct((*x.shape[:-1], width) if flag else x.shape, x.dtype)
        for x, flag in zip(operands, mapped, strict=True)
    ]
    chunk = jaxpr_as_fun(member.of_all(mapped, types))

    def body(i: jax.Array, found: list[Value]) -> list[Value]:
        # The last chunk ends with the batch, and computes again what is in two.
        start = jnp.minimum(i * width, size - width)
        parts = [
            lax.dynamic_slice_in_dim(x, start, width, -1) if flag else x
            for x, flag in zip(operands, mapped, strict=True)
        ]
        pairs = zip(found, chunk(*parts), strict=True)
        return [lax.dynamic_update_slice_in_dim(y, part, start, -1) for y, part in pairs]

    results: list[Any] = call_jaxpr.out_avals
    empty = [jnp.zeros(t.shape, t.dtype) for t in results]
    return lax.fori_loop(np.int32(0), np.int32(count), body, empty)
