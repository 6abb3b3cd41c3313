"""A while loop that keeps a batch in the last axis of what it carries.

`jax.lax.while_loop` moves the batch to the first axis. A record of steps would then have those of
one member in one line of memory, and a step of all members would be written across all lines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from .._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    is_mapped,
    jaxpr_as_fun,
    program_of,
    register,
)
from ._rows import with_row

while_loop_p = Primitive("while_loop_of_solve")
while_loop_p.multiple_results = True

with_row_p = Primitive("with_row")


def while_loop(
    goes_on: Callable[[Any], jax.Array], body: Callable[[Any], Any], state: PyTree
) -> Any:
    """`jax.lax.while_loop`, without derivatives.

    Args:
        goes_on: whether it goes on, the same for all of a batch.
        body: the next state.
        state: that at the start.
    """
    leaves, tree = jax.tree.flatten(state)
    condition, constants = program_of(lambda *s: [goes_on(tree.unflatten(s))], leaves)
    program, more = program_of(lambda *s: jax.tree.leaves(body(tree.unflatten(s))), leaves)
    counts = (len(constants), len(more))
    operands = [*constants, *more, *leaves]
    return tree.unflatten(
        while_loop_p.bind(*operands, goes_on=condition, body=program, counts=counts)
    )


def with_line(rows: jax.Array, row: jax.Array, number: jax.Array) -> jax.Array:
    """`rows` with that one replaced, a whole line of memory where the number is that of a batch."""
    return with_row_p.bind(rows, row, number)


def _run(
    *operands: Value, goes_on: ClosedJaxpr, body: ClosedJaxpr, counts: tuple[int, int]
) -> list[Value]:
    first, second = counts[0], sum(counts)
    constants, more, state = operands[:first], operands[first:second], list(operands[second:])
    condition, step = jaxpr_as_fun(goes_on), jaxpr_as_fun(body)
    return jax.lax.while_loop(
        lambda s: condition(*constants, *s)[0], lambda s: step(*more, *s), state
    )


def _types(*operands: Value, counts: tuple[int, int], **_: Any) -> list[Any]:
    return [(v.shape, v.dtype) for v in operands[sum(counts) :]]


def _batch(
    operands: Sequence[Value],
    axes: Sequence[int | None],
    *,
    goes_on: ClosedJaxpr,
    body: ClosedJaxpr,
    counts: tuple[int, int],
) -> tuple[list[Value], list[int | None]]:
    size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
    first, second = counts[0], sum(counts)
    moved = [
        x if a is None else jnp.moveaxis(x, a, -1) for x, a in zip(operands, axes, strict=True)
    ]
    mapped = [a is not None for a in axes]
    while (after := _mapped_after(body, moved[first:], mapped[first:], counts[1], size)) != mapped[
        second:
    ]:
        for i, flag in enumerate(after, second):
            if flag and not mapped[i]:
                mapped[i], shape = True, moved[i].shape
                moved[i] = jnp.broadcast_to(moved[i][..., None], (*shape, size))
    places = [-1 if flag else None for flag in mapped]
    state_types, state_places = moved[second:], places[second:]
    condition = jax.vmap(
        jaxpr_as_fun(goes_on), (*places[:first], *state_places), None, axis_size=size
    )
    step = jax.vmap(jaxpr_as_fun(body), tuple(places[first:]), state_places, axis_size=size)
    whole, constants = program_of(condition, [*moved[:first], *state_types])
    program, more = program_of(step, moved[first:])
    operands = [*constants, *moved[:first], *more, *moved[first:]]
    counts = (first + len(constants), counts[1] + len(more))
    found = while_loop_p.bind(*operands, goes_on=whole, body=program, counts=counts)
    return found, [
        y.ndim - 1 if flag else None for y, flag in zip(found, mapped[second:], strict=True)
    ]


def _mapped_after(
    body: ClosedJaxpr, operands: Sequence[Value], mapped: Sequence[bool], constants: int, size: int
) -> list[bool]:
    """Of what is carried, what is of each member at the start or after the body."""
    found: list[bool] = []

    def probe(*operands: Value) -> list[Value]:
        results = jaxpr_as_fun(body)(*operands)
        found[:] = map(is_mapped, results)
        return results

    axes = tuple(-1 if flag else None for flag in mapped)
    jax.eval_shape(jax.vmap(probe, axes, axis_size=size), *operands)
    return [a or b for a, b in zip(found, mapped[constants:], strict=True)]


def _batch_row(operands: Sequence[Value], axes: Sequence[int | None]) -> tuple[Value, int]:
    (rows, row, number), (rows_axis, row_axis, number_axis) = operands, axes
    if number_axis is not None:
        found = jax.vmap(with_row, tuple(axes), -1)(rows, row, number)
        return found, found.ndim - 1
    size = rows.shape[rows_axis] if row_axis is None else row.shape[row_axis]
    rows = _last(rows, rows_axis, size)
    found = with_line(rows, _last(row, row_axis, size), number)
    return found, found.ndim - 1


def _last(x: Value, axis: int | None, size: int) -> Value:
    if axis is None:
        return jnp.broadcast_to(x[..., None], (*x.shape, size))
    return jnp.moveaxis(x, axis, -1)


register(while_loop_p, run=_run, types=_types, batch=_batch)
register(
    with_row_p,
    run=with_row,
    types=lambda rows, row, number: (rows.shape, rows.dtype),
    batch=_batch_row,
)
