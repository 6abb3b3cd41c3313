"""The transpose of `dynamic_scan`: a `dynamic_scan` the other way."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..._primitive import (
    ClosedJaxpr,
    Value,
    instantiated,
    is_undefined,
    is_zero,
    jaxpr_as_fun,
    program_of,
)
from ._scan_primitive import Sizes, bind, body_types, flagged, placed, split


def transpose(
    cotangents: Sequence[Value],
    *args: Value,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The transpose is a linear scan the other way."""
    place, groups = placed(args, sizes)
    c, xs, k, _ = groups
    # The carry is passed on whole; what is known of the rows counts as 0, by linearity.
    wanted = [[is_undefined(value) for value in group] for group in groups]
    wanted[2] = [True] * len(k)
    ck, cy = split(cotangents, (len(k), len(cotangents) - len(k)))
    given = [not is_zero(t) for t in cy]
    operands = [c, xs, list(map(instantiated, ck)), flagged(cy, given)]
    backward = _transposed_body(body, body_types(groups), sizes, wanted, given)
    program, constants = program_of(backward, body_types(operands))
    operands[0] = [*constants, *c]
    last, rows = bind(program, place, operands, length=length, reverse=not reverse)
    found = iter([*last, *rows])
    linear = [None] * (len(c) + len(xs))
    for flags in wanted[2:]:
        linear += [next(found) if flag else None for flag in flags]
    undefined = map(is_undefined, itertools.chain(*groups))
    found = [v if u else None for u, v in zip(undefined, linear, strict=True)]
    return [*(None for _ in place), *found]


def _transposed_body(
    body: ClosedJaxpr, types: list[Value], sizes: Sizes, wanted: list[list[bool]], given: list[bool]
) -> Callable[..., list[Value]]:
    """From constants, rows and cotangents of carry and rows to those before the iteration."""
    f = jaxpr_as_fun(body)
    flags = list(itertools.chain(*wanted))
    nc, nx, nk, _ = sizes
    counts = (nc, nx, nk, sum(given))

    def backward(*args: Value) -> list[Value]:
        c, xs, ck, cy = split(args, counts)
        rows = iter(cy)
        cotangents = [
            *ck,
            *(
                next(rows) if g else jnp.zeros(a.shape, a.dtype)
                for g, a in zip(given, body.out_avals[nk:], strict=True)
            ),
        ]

        def forward(*some: Value) -> list[Value]:
            rest, fixed = iter(some), iter([*c, *xs])
            residual = [True] * (nc + nx) + [False] * (len(flags) - nc - nx)
            return f(
                *(
                    next(fixed) if r else next(rest) if w else jnp.zeros(t.shape, t.dtype)
                    for r, w, t in zip(residual, flags, types, strict=True)
                )
            )

        return list(jax.linear_transpose(forward, *flagged(types, flags))(cotangents))

    return backward
