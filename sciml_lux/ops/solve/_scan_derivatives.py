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
    c, xs, dc, k, us = groups
    _, moved = placed(tangents, sizes)
    flags = [[not is_zero(t) for t in group] for group in moved]
    flags[3] = [is_inexact(value) for value in k]
    tc, tx, tdc, tk, tu = (
        [instantiated(t) for t in flagged(*pair)] for pair in zip(moved, flags, strict=True)
    )
    linear = [[*tc, *tdc], tk, [*tx, *tu]]
    types = [*types_of([*c, *dc]), *row_types([*xs, *us]), *types_of([*k, *linear[0], *tk])]
    program, constants = program_of(
        _tangent_body(body, sizes, flags), [*types, *row_types(linear[2])]
    )
    residual = [*constants, *c, *dc]
    counts = (len(residual), len(xs) + len(us), len(k))
    kept = [False] * sum(counts) + [True] * sum(map(len, linear))
    program, used = pruned(program, [True] * len(program.out_avals), kept)
    whole, rows, passed = split(used, counts)

    # Only the carries that the tangent reads are recorded.
    recording, constants = program_of(_recording_body(body, sizes, passed), body_types(groups))
    recorded = [[*constants, *c], xs, dc, k, us]
    last, out = bind(recording, place, recorded, length=length, reverse=reverse)
    out, carries = split(out, (len(body.out_avals) - len(k), sum(passed)))
    residual_rows = [*flagged([*xs, *us], rows), *carries]
    operands = [flagged(residual, whole), residual_rows, *linear]
    tangent_last, tangent_out = bind(program, place, operands, length=length, reverse=reverse)

    results = [*last, *out]
    moving = iter([*tangent_last, *tangent_out])
    return results, [next(moving) if is_inexact(r) else zero_like(r) for r in results]


def _tangent_body(
    body: ClosedJaxpr, sizes: Sizes, flags: list[list[bool]]
) -> Callable[..., list[Value]]:
    """The derivative of the body, from its arguments and the tangents of those that are flagged.

    Arguments: constants, rows and carry of the primal, then the tangents of constants, of the carry
    and of rows; each in the order of the body's groups.
    """
    f, out_flags = jaxpr_as_fun(body), [is_inexact(a) for a in body.out_avals]
    flat_flags = list(itertools.chain(*flags))
    nc, nx, ndc, nk, nu = sizes
    mc, mx, mdc, mk, mu = map(sum, flags)

    def tangent(*args: Value) -> list[Value]:
        c, dc, xs, us, k, tc, tdc, tk, tx, tu = split(
            args, (nc, ndc, nx, nu, nk, mc, mdc, mk, mx, mu)
        )
        values = [*c, *xs, *dc, *k, *us]

        def moving(*some: Value) -> list[Value]:
            rest = iter(some)
            merged = (next(rest) if m else v for m, v in zip(flat_flags, values, strict=True))
            return flagged(f(*merged), out_flags)

        return jax.jvp(moving, flagged(values, flat_flags), [*tc, *tx, *tdc, *tk, *tu])[1]

    return tangent


def _recording_body(
    body: ClosedJaxpr, sizes: Sizes, passed: list[bool]
) -> Callable[..., list[Value]]:
    """The body, which also returns the flagged carries as rows."""
    f = jaxpr_as_fun(body)

    def recording(*args: Value) -> list[Value]:
        return [*f(*args), *flagged(split(args, sizes)[3], passed)]

    return recording


def transpose(
    cotangents: Sequence[Value],
    *args: Value,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The transpose, a linear scan in reverse, which adds up what linear constants get."""
    place, groups = placed(args, sizes)
    c, xs, dc, k, _ = groups
    # All of the carry gets a cotangent; the other linear operands that are known count as 0.
    wanted = [[is_undefined(value) for value in group] for group in groups]
    wanted[3] = [True] * len(k)
    ck, cy = split(cotangents, (len(k), len(cotangents) - len(k)))
    given = [not is_zero(t) for t in cy]
    sums = [jnp.zeros(t.shape, t.dtype) for t in types_of(flagged(dc, wanted[2]))]
    start = [*sums, *map(instantiated, ck)]
    operands = [c, xs, [], start, flagged(cy, given)]
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
    """From constants, rows, sums, and the cotangents after an iteration to those before it."""
    f = jaxpr_as_fun(body)
    flags = list(itertools.chain(*wanted))
    nc, nx, _, nk, _ = sizes
    counts = (nc, nx, sum(wanted[2]), nk, sum(given))

    def backward(*args: Value) -> list[Value]:
        c, xs, sums, ck, cy = split(args, counts)
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

        found = list(jax.linear_transpose(forward, *flagged(types, flags))(cotangents))
        parts, rest = split(found, (len(sums), len(found) - len(sums)))
        return [*(a + b for a, b in zip(sums, parts, strict=True)), *rest]

    return backward
