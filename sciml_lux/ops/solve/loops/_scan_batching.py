"""`dynamic_scan` under `vmap`."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..._primitive import (
    ClosedJaxpr,
    Value,
    jaxpr_as_fun,
    program_of,
)
from ._scan_primitive import (
    Groups,
    Sizes,
    bind,
    body_types,
    passed_on,
    placed,
    split,
)


def batch(
    args: Sequence[Value],
    axes: Sequence[int | None],
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> tuple[list[Value], list[Value]]:
    """One scan for the batch; what is not batched stays so, but for a carry that changes."""
    size = next(v.shape[axis] for v, axis in zip(args, axes, strict=True) if axis is not None)
    (place, groups), (place_axes, group_axes) = placed(args, sizes), placed(axes, sizes)
    if any(axis is not None for axis in place_axes[1:]):
        return _in_their_own_order(
            (place, groups), (place_axes, group_axes), body, sizes, length, reverse
        )
    if place_axes[0] is not None:
        n = jnp.moveaxis(place[0], place_axes[0], 0)
        groups, group_axes, body = _waiting(n, place[1:], groups, group_axes, body, length)
        place = [n.max(initial=0), *place[1:]]
    # The axis of rows stays first: the batch is the second of them, and the first of the others.
    moved = [
        [
            v if a is None else jnp.moveaxis(v, a, int(i in (1, 3)))
            for v, a in zip(*pair, strict=True)
        ]
        for i, pair in enumerate(zip(groups, group_axes, strict=True))
    ]
    batched = [[a is not None for a in group] for group in group_axes]
    same = passed_on(body, tuple(map(len, groups)))
    moved[2] = [
        v if b or s else jnp.broadcast_to(v, (size, *v.shape))
        for v, b, s in zip(moved[2], batched[2], same, strict=True)
    ]
    batched[2] = [b or not s for b, s in zip(batched[2], same, strict=True)]
    in_axes = tuple(0 if b else None for b in itertools.chain(*batched))
    carry_axes = [0 if b else None for b in batched[2]]
    out_axes = [*carry_axes, *(0 for _ in body.out_avals[len(same) :])]
    mapped = jax.vmap(jaxpr_as_fun(body), in_axes, out_axes, axis_size=size)
    program, constants = program_of(mapped, body_types(moved))
    moved[0] = [*constants, *moved[0]]
    last, rows = bind(program, place, moved, length=length, reverse=reverse)
    return [*last, *rows], [*carry_axes, *(1 for _ in rows)]


def _in_their_own_order(
    args: tuple[list[Value], Groups],
    axes: tuple[Sequence[int | None], Sequence[Sequence[int | None]]],
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> tuple[list[Value], list[Value]]:
    """The batch of scans that read and write rows in orders of their own: rows are sorted first."""
    ((n, order), groups), ((n_axis, order_axis), group_axes) = args, axes
    sort = functools.partial(jnp.take, axis=0)
    groups, group_axes = list(groups), list(group_axes)
    for i in (1, 3):
        pairs = zip(groups[i], group_axes[i], strict=True)
        groups[i] = [jax.vmap(sort, (axis, order_axis))(rows, order) for rows, axis in pairs]
        group_axes[i] = [0] * len(groups[i])
    whole = [n, *itertools.chain(*groups)], [n_axis, *itertools.chain(*group_axes)]
    found, out_axes = batch(*whole, body=body, sizes=sizes, length=length, reverse=reverse)

    def put_back(rows: jax.Array, n: jax.Array, order: jax.Array) -> jax.Array:
        # What follows the last of them may repeat the place of another.
        place = jnp.where(jnp.arange(length, dtype=order.dtype) < n, order, length)
        return jnp.zeros_like(rows).at[place].set(rows, mode="drop")

    carried = sizes[2]
    for i in range(carried, len(found)):
        put = jax.vmap(put_back, (out_axes[i], n_axis, order_axis), out_axes[i])
        found[i] = put(found[i], n, order)
    return found, out_axes


def _waiting(
    n: jax.Array,
    order: list[Value],
    groups: Groups,
    axes: Sequence[list[int | None]],
    body: ClosedJaxpr,
    length: int,
) -> tuple[Any, Any, Any]:
    """Groups, axes and body of scans as long as the longest of a batch; shorter ones wait."""
    f = jaxpr_as_fun(body)
    sizes = tuple(map(len, groups))
    carried, same = sizes[2], passed_on(body, sizes)

    def waiting(*args: Value) -> list[Value]:
        (own, *firsts), rest = args[: 1 + sizes[1]], args[1 + sizes[1] :]
        c, (at, *xs), k, us = split(rest, (sizes[0], 1 + sizes[1], *sizes[2:]))
        runs = at < own
        # Rows beyond the end are 0, where the body need not be defined: the first replaces them.
        xs = [jnp.where(runs, x, first) for x, first in zip(xs, firsts, strict=True)]
        us = [jnp.where(runs, u, jnp.zeros_like(u)) for u in us]
        out = f(*c, *xs, *k, *us)
        carry = [
            old if s else jnp.where(runs, new, old)
            for new, old, s in zip(out[:carried], k, same, strict=True)
        ]
        return [*carry, *(jnp.where(runs, new, jnp.zeros_like(new)) for new in out[carried:])]

    c, xs, k, us = groups
    numbers = jnp.arange(length, dtype=n.dtype)
    start = 0
    if order:
        start, numbers = order[0][0], jnp.zeros_like(numbers).at[order[0]].set(numbers)
    firsts = [jnp.take(x, start, axis=int(a == 0)) for x, a in zip(xs, axes[1], strict=True)]
    first_axes = [None if a is None else max(a - 1, 0) for a in axes[1]]
    groups = [[n, *firsts, *c], [numbers, *xs], k, us]
    axes = [[0, *first_axes, *axes[0]], [None, *axes[1]], *axes[2:]]
    shapes = [
        [_without(v, a) for v, a in zip(*pair, strict=True)]
        for pair in zip(groups, axes, strict=True)
    ]
    program, constants = program_of(waiting, body_types(shapes))
    groups[0], axes[0] = [*constants, *groups[0]], [*(None for _ in constants), *axes[0]]
    return groups, axes, program


def _without(value: Value, axis: int | None) -> Any:
    """The type of one member of the batch."""
    shape = list(value.shape)
    if axis is not None:
        del shape[axis]
    return jax.ShapeDtypeStruct(tuple(shape), value.dtype)
