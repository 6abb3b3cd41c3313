"""A while loop that keeps a batch in the last axis of what it carries.

`jax.lax.while_loop` moves the batch to the first axis. A record of steps would then have those of
one member in one line of memory, and a step of all members would be written across all lines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..._primitive import (
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
    found = _bound([condition, program], [constants, more], leaves)
    return tree.unflatten(found)


def _bound(
    programs: Sequence[ClosedJaxpr], constants: Sequence[Sequence[Value]], state: Sequence[Value]
) -> list[Value]:
    """The loop, with the names of parameters that JAX's own has: so its programs are found."""
    return while_loop_p.bind(
        *constants[0],
        *constants[1],
        *state,
        cond_jaxpr=programs[0],
        cond_nconsts=len(constants[0]),
        body_jaxpr=programs[1],
        body_nconsts=len(constants[1]),
    )


def with_line(rows: jax.Array, row: jax.Array, number: jax.Array) -> jax.Array:
    """`rows` with that one replaced, a whole line of memory where the number is that of a batch."""
    return with_row_p.bind(rows, row, number)


def _run(
    *operands: Value,
    cond_jaxpr: ClosedJaxpr,
    cond_nconsts: int,
    body_jaxpr: ClosedJaxpr,
    body_nconsts: int,
) -> list[Value]:
    constants, more, state = _parts(operands, cond_nconsts, body_nconsts)
    condition, step = jaxpr_as_fun(cond_jaxpr), jaxpr_as_fun(body_jaxpr)
    return jax.lax.while_loop(
        lambda state: condition(*constants, *state)[0], lambda state: step(*more, *state), state
    )


def _parts(values: Sequence[Value], first: int, second: int) -> tuple[list, list, list]:
    """What the condition reads, what the body reads, and what is carried."""
    last = first + second
    return list(values[:first]), list(values[first:last]), list(values[last:])


def _types(*operands: Value, cond_nconsts: int, body_nconsts: int, **_: Any) -> list[Any]:
    return [(v.shape, v.dtype) for v in operands[cond_nconsts + body_nconsts :]]


def _batch(
    operands: Sequence[Value],
    axes: Sequence[int | None],
    *,
    cond_jaxpr: ClosedJaxpr,
    cond_nconsts: int,
    body_jaxpr: ClosedJaxpr,
    body_nconsts: int,
) -> tuple[list[Value], list[int | None]]:
    size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
    pairs = zip(operands, axes, strict=True)
    moved = [x if a is None else jnp.moveaxis(x, a, -1) for x, a in pairs]
    counts = (cond_nconsts, body_nconsts)
    first, second, state = _parts(moved, *counts)
    flags = [a is not None for a in axes]
    of_first, of_second, mapped = _parts(flags, *counts)
    before = None
    while mapped != before:
        before = mapped
        mapped = _mapped_after(body_jaxpr, [*second, *state], [*of_second, *mapped], size)
        pairs = zip(state, mapped, before, strict=True)
        state = [_last(x, None, size) if new and not old else x for x, new, old in pairs]
    places, of_first, of_second = (
        [-1 if flag else None for flag in flags] for flags in (mapped, of_first, of_second)
    )
    condition = jax.vmap(jaxpr_as_fun(cond_jaxpr), (*of_first, *places), None, axis_size=size)
    step = jax.vmap(jaxpr_as_fun(body_jaxpr), (*of_second, *places), places, axis_size=size)
    whole, constants = program_of(condition, [*first, *state])
    program, more = program_of(step, [*second, *state])
    found = _bound([whole, program], [[*constants, *first], [*more, *second]], state)
    pairs = zip(found, mapped, strict=True)
    return found, [y.ndim - 1 if flag else None for y, flag in pairs]


def _mapped_after(
    body: ClosedJaxpr, operands: Sequence[Value], mapped: Sequence[bool], size: int
) -> list[bool]:
    """Of what is carried, what is of each member at the start or after the body."""
    found: list[bool] = []

    def probe(*operands: Value) -> list[Value]:
        results = jaxpr_as_fun(body)(*operands)
        found[:] = map(is_mapped, results)
        return results

    axes = tuple(-1 if flag else None for flag in mapped)
    jax.eval_shape(jax.vmap(probe, axes, axis_size=size), *operands)
    carried = mapped[len(mapped) - len(found) :]
    return [a or b for a, b in zip(found, carried, strict=True)]


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
