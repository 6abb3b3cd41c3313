"""The primitive of `dynamic_scan`: the order of its operands, and what it computes."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    jaxpr_as_fun,
    type_of,
)
from ._rows import row_of, with_row

Sizes = Sequence[int]
Groups = Sequence[Sequence[Value]]
"""The arguments of `linear_scan` from `constants` on, as lists of leaves."""

dynamic_scan_p = Primitive("dynamic_scan")
dynamic_scan_p.multiple_results = True


def bind(
    body: ClosedJaxpr,
    place: Sequence[Value],
    groups: Groups,
    *,
    length: int,
    reverse: bool,
    through: Callable[..., Sequence[Value]] = dynamic_scan_p.bind,
) -> tuple[list[Value], list[Value]]:
    """The last carry, and the rows that come out.

    Args:
        body: one iteration.
        place: n, and the order of the rows, if they have one of their own.
        groups: the arguments of `linear_scan`, in its order.
        length: the number of rows there is room for.
        reverse: whether the last of the n comes first.
        through: what takes the operands and parameters of the primitive.
    """
    out = through(
        *place,
        *itertools.chain(*groups),
        body=body,
        sizes=tuple(map(len, groups)),
        length=length,
        reverse=reverse,
    )
    carried = len(groups[2])
    return list(out[:carried]), list(out[carried:])


def types_of(values: Sequence[Value]) -> list[Value]:
    return [type_of(value) for value in values]


def row_types(values: Sequence[Value]) -> list[Value]:
    return [jax.ShapeDtypeStruct(t.shape[1:], t.dtype) for t in types_of(values)]


def body_types(groups: Groups) -> list[Value]:
    c, xs, k, us = groups
    return [*types_of(c), *row_types(xs), *types_of(k), *row_types(us)]


def split(values: Sequence[Value], sizes: Iterable[int]) -> list[list[Value]]:
    rest = iter(values)
    return [list(itertools.islice(rest, size)) for size in sizes]


def placed(args: Sequence[Value], sizes: Sizes) -> tuple[list[Value], list[list[Value]]]:
    """n with the order if there is one, and the groups."""
    place = len(args) - sum(sizes)
    return list(args[:place]), split(args[place:], sizes)


def flagged(values: Sequence[Value], flags: Sequence[bool]) -> list[Value]:
    return list(itertools.compress(values, flags))


def passed_on(body: ClosedJaxpr, sizes: Sizes) -> list[bool]:
    """Which of the carry every iteration hands on as it got it."""
    before, carried = sizes[0] + sizes[1], sizes[2]
    taken = body.jaxpr.invars[before : before + carried]
    return [a is b for a, b in zip(taken, body.jaxpr.outvars, strict=False)]


def run(*args: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool) -> list[Value]:
    """The scan as a while loop: the meaning of the primitive, and what it compiles to."""
    (n, *order), (c, xs, k, us) = placed(args, sizes)
    f = jaxpr_as_fun(body)
    out = [jnp.zeros((length, *a.shape), a.dtype) for a in body.out_avals[len(k) :]]

    def rows(values: list[Value], at: jax.Array) -> list[Value]:
        return [row_of(v, at) for v in values]

    def iteration(state: tuple[jax.Array, list[Value], list[Value]]) -> Any:
        i, k, out = state
        at = n - 1 - i if reverse else i
        at = order[0][at] if order else at
        k, row = split(f(*c, *rows(xs, at), *k, *rows(us, at)), (len(k), len(out)))
        return i + 1, k, [with_row(o, v, at) for o, v in zip(out, row, strict=True)]

    state = (jnp.zeros_like(n), k, out)
    _, k, out = jax.lax.while_loop(lambda state: state[0] < n, iteration, state)
    return [*k, *out]


def result_types(*args: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool) -> Any:
    types = [(a.shape, a.dtype) for a in body.out_avals]
    carried, rows = types[: sizes[2]], types[sizes[2] :]
    return [*carried, *(((length, *shape), dtype) for shape, dtype in rows)]
