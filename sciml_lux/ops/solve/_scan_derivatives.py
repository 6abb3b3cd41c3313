"""The tangent and the transpose of `dynamic_scan`: each is a `dynamic_scan` again."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._primitive import (
    ClosedJaxpr,
    Value,
    instantiated,
    is_inexact,
    is_undefined,
    is_zero,
    jaxpr_as_fun,
    program_of,
    pruned,
    zero_like,
)
from ._scan_primitive import (
    Sizes,
    bind,
    body_types,
    flagged,
    passed_on,
    placed,
    row_types,
    split,
    types_of,
)


def jvp(
    primals: Sequence[Value],
    tangents: Sequence[Value],
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The tangent, a linear scan over the primal's rows and the carries before its iterations."""
    place, groups = placed(primals, sizes)
    c, xs, k, us = groups
    _, moved = placed(tangents, sizes)
    flags = [[not is_zero(t) for t in group] for group in moved]
    same = passed_on(body, sizes)
    flags[2] = [
        is_inexact(value) and not (s and is_zero(t))
        for value, t, s in zip(k, moved[2], same, strict=True)
    ]
    tc, tx, tk, tu = (
        [instantiated(t) for t in flagged(*pair)] for pair in zip(moved, flags, strict=True)
    )
    changing = [not s for s in same]
    linear = [[*tc, *tk], [*tx, *tu]]
    whole, rows = [*c, *flagged(k, same)], [*xs, *us]
    types = [*types_of(whole), *row_types(rows), *types_of([*flagged(k, changing), *linear[0]])]
    program, constants = program_of(
        _tangent_body(body, sizes, flags), [*types, *row_types(linear[1])]
    )
    counts = (len(constants) + len(whole), len(rows), sum(changing))
    kept = [False] * sum(counts) + [True] * sum(map(len, linear))
    program, used = pruned(program, [True] * len(program.out_avals), kept)
    used_whole, used_rows, used_carries = split(used, counts)

    # Only the carries that the tangent reads, and that change, are recorded.
    reads = iter(used_carries)
    recorded = [next(reads) if c else False for c in changing]
    recording, more = program_of(_recording_body(body, sizes, recorded), body_types(groups))
    operands = [[*more, *c], xs, k, us]
    last, out = bind(recording, place, operands, length=length, reverse=reverse)
    out, carries = split(out, (len(body.out_avals) - len(k), sum(recorded)))
    residual = [flagged([*constants, *whole], used_whole), [*flagged(rows, used_rows), *carries]]
    last_moved, out_moved = bind(
        program, place, [*residual, *linear], length=length, reverse=reverse
    )

    results = [*last, *out]
    moving = iter([*last_moved[len(tc) :], *out_moved])
    moves = _moving_results(body, flags)
    return results, [
        next(moving) if m else zero_like(r) for r, m in zip(results, moves, strict=True)
    ]


def _moving_results(body: ClosedJaxpr, flags: list[list[bool]]) -> list[bool]:
    """Which results have a tangent."""
    return [*flags[2], *(is_inexact(a) for a in body.out_avals[len(flags[2]) :])]


def _tangent_body(
    body: ClosedJaxpr, sizes: Sizes, flags: list[list[bool]]
) -> Callable[..., list[Value]]:
    """The derivative of the body, from its arguments and the tangents of those that are flagged.

    Arguments: of the primal the constants, the carry that is passed on, rows and the carry that
    changes; then the tangents of constants, of the carry and of rows; each in the order of the
    body's groups. The tangents of constants are passed on.
    """
    f, out_flags = jaxpr_as_fun(body), _moving_results(body, flags)
    flat_flags = list(itertools.chain(*flags))
    nc, nx, nk, nu = sizes
    mc, mx, mk, mu = map(sum, flags)
    same = passed_on(body, sizes)

    def tangent(*args: Value) -> list[Value]:
        c, fixed, xs, us, changing, tc, tk, tx, tu = split(
            args, (nc, sum(same), nx, nu, nk - sum(same), mc, mk, mx, mu)
        )
        values_same, values_changing = iter(fixed), iter(changing)
        k = [next(values_same) if s else next(values_changing) for s in same]
        values = [*c, *xs, *k, *us]

        def moving(*some: Value) -> list[Value]:
            rest = iter(some)
            merged = (next(rest) if m else v for m, v in zip(flat_flags, values, strict=True))
            return flagged(f(*merged), out_flags)

        return [*tc, *jax.jvp(moving, flagged(values, flat_flags), [*tc, *tx, *tk, *tu])[1]]

    return tangent


def _recording_body(
    body: ClosedJaxpr, sizes: Sizes, passed: list[bool]
) -> Callable[..., list[Value]]:
    """The body, which also returns the flagged carries as rows."""
    f = jaxpr_as_fun(body)

    def recording(*args: Value) -> list[Value]:
        return [*f(*args), *flagged(split(args, sizes)[2], passed)]

    return recording


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
