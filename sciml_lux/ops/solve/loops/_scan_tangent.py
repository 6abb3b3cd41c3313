"""The tangent of `dynamic_scan`.

In forward mode one scan carries values and tangents together, by a primitive of its own: nothing is
recorded and nothing is computed twice. Where the tangents are to be transposed, or are a batch of
the same values', it parts into the scan of the values, which records its carries, and a linear scan
of the tangents.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    instantiated,
    is_inexact,
    is_zero,
    jaxpr_as_fun,
    program_of,
    pruned,
    register,
    register_parting,
    zero_like,
)
from ._scan_primitive import (
    Sizes,
    bind,
    body_types,
    dynamic_scan_p,
    flagged,
    passed_on,
    placed,
    result_types,
    row_types,
    split,
    types_of,
)

Flags = Sequence[Sequence[bool]]
"""Which of each group have a tangent."""

dynamic_scan_jvp_p = Primitive("dynamic_scan_jvp")
dynamic_scan_jvp_p.multiple_results = True


def jvp(
    primals: Sequence[Value],
    tangents: Sequence[Value],
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The results, and their tangents."""
    _, groups = placed(primals, sizes)
    _, moved = placed(tangents, sizes)
    flags = [[not is_zero(t) for t in group] for group in moved]
    flags[2] = [
        is_inexact(value) and not (same and is_zero(t))
        for value, t, same in zip(groups[2], moved[2], passed_on(body, sizes), strict=True)
    ]
    given = [instantiated(t) for pair in zip(moved, flags, strict=True) for t in flagged(*pair)]
    out = dynamic_scan_jvp_p.bind(
        *primals,
        *given,
        body=body,
        sizes=sizes,
        length=length,
        reverse=reverse,
        flags=tuple(map(tuple, flags)),
    )
    moves = _moving_results(body, flags)
    results, rest = out[: len(moves)], iter(out[len(moves) :])
    return results, [next(rest) if m else zero_like(r) for r, m in zip(results, moves, strict=True)]


def together(
    *args: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool, flags: Flags
) -> list[Value]:
    """One scan of values and tangents: the meaning of the primitive."""
    place, parts = placed(args, (*sizes, *map(sum, flags)))
    groups, moved = parts[:4], parts[4:]
    joint = [[*values, *tangents] for values, tangents in zip(groups, moved, strict=True)]
    program, constants = program_of(_joint_body(body, sizes, flags), body_types(joint))
    joint[0] = [*constants, *joint[0]]
    last, out = bind(program, place, joint, length=length, reverse=reverse)
    k, tk = last[: sizes[2]], last[sizes[2] :]
    count = len(body.out_avals) - sizes[2]
    return [*k, *out[:count], *tk, *out[count:]]


def _joint_body(body: ClosedJaxpr, sizes: Sizes, flags: Flags) -> Callable[..., list[Value]]:
    """The body and its derivative, from values and tangents, group by group."""
    f, moves = jaxpr_as_fun(body), _moving_results(body, flags)
    flat_flags = list(itertools.chain(*flags))
    pairs = itertools.chain(*zip(sizes, map(sum, flags), strict=True))
    counts, carried = list(pairs), sizes[2]

    def joint(*args: Value) -> list[Value]:
        parts = split(args, counts)
        values, tangents = list(itertools.chain(*parts[::2])), list(itertools.chain(*parts[1::2]))

        def moving(*some: Value) -> tuple[list[Value], list[Value]]:
            out = f(*_merged(values, some, flat_flags))
            return flagged(out, moves), out

        _, moved, out = jax.jvp(moving, flagged(values, flat_flags), tangents, has_aux=True)
        tk, ty = split(moved, (sum(moves[:carried]), len(moved)))
        return [*out[:carried], *tk, *out[carried:], *ty]

    return joint


def _merged(values: Sequence[Value], moving: Sequence[Value], flags: Sequence[bool]) -> list[Value]:
    """The values, with those that are flagged replaced."""
    rest = iter(moving)
    return [next(rest) if m else v for m, v in zip(flags, values, strict=True)]


class Tangents(NamedTuple):
    """The linear scan of the tangents.

    Attributes:
        program: one iteration.
        place: n, and the order of the rows, if they have one of their own.
        residual: what it reads of the values, whole and as rows.
        length: the number of rows.
        reverse: whether the last row comes first.
        flags: what has a tangent.
    """

    program: ClosedJaxpr
    place: list[Value]
    residual: list[list[Value]]
    length: int
    reverse: bool
    flags: Flags

    def of(self, *given: Value, through: Callable[..., Any] = dynamic_scan_p.bind) -> list[Value]:
        """The tangents of the results, of those given."""
        tc, tx, tk, tu = split(given, map(sum, self.flags))
        groups = [*self.residual, [*tc, *tk], [*tx, *tu]]
        options = {"length": self.length, "reverse": self.reverse, "through": through}
        last, out = bind(self.program, self.place, groups, **options)
        return [*last[len(tc) :], *out]


def recorded(
    *primals: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool, flags: Flags
) -> tuple[list[Value], Tangents]:
    """The results, and the scan of their tangents over the carries before each iteration."""
    place, groups = placed(primals, sizes)
    c, xs, k, us = groups
    same = passed_on(body, sizes)
    changing = [not s for s in same]
    tc, tx, tk, tu = (flagged(*pair) for pair in zip(groups, flags, strict=True))
    whole, rows = [*c, *flagged(k, same)], [*xs, *us]
    types = [*types_of(whole), *row_types(rows), *types_of([*flagged(k, changing), *tc, *tk])]
    program, constants = program_of(
        _tangent_body(body, sizes, flags), [*types, *row_types([*tx, *tu])]
    )
    counts = (len(constants) + len(whole), len(rows), sum(changing))
    kept = [False] * sum(counts) + [True] * sum(map(sum, flags))
    program, used = pruned(program, [True] * len(program.out_avals), kept)
    used_whole, used_rows, used_carries = split(used, counts)

    # Only the carries that the tangent reads, and that change, are recorded.
    reads = iter(used_carries)
    read = [next(reads) if c else False for c in changing]
    recording, more = program_of(_recording_body(body, sizes, read), body_types(groups))
    last, out = bind(recording, place, [[*more, *c], xs, k, us], length=length, reverse=reverse)
    out, carries = split(out, (len(body.out_avals) - len(k), sum(read)))
    residual = [flagged([*constants, *whole], used_whole), [*flagged(rows, used_rows), *carries]]
    return [*last, *out], Tangents(program, place, residual, length, reverse, flags)


def _moving_results(body: ClosedJaxpr, flags: Flags) -> list[bool]:
    """Which results have a tangent."""
    return [*flags[2], *(is_inexact(a) for a in body.out_avals[len(flags[2]) :])]


def _tangent_body(body: ClosedJaxpr, sizes: Sizes, flags: Flags) -> Callable[..., list[Value]]:
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


def _number_of_values(args: Sequence[Value], flags: Flags) -> int:
    return len(args) - sum(map(sum, flags))


def _types(*args: Value, body: ClosedJaxpr, flags: Flags, **options: Any) -> Any:
    types = result_types(*args[: _number_of_values(args, flags)], body=body, **options)
    return [*types, *flagged(types, _moving_results(body, flags))]


def _jvp_of_both(primals: Sequence[Value], tangents: Sequence[Value], **params: Any) -> Any:
    flags = [not is_zero(t) for t in tangents]

    def moving(*some: Value) -> list[Value]:
        return together(*_merged(primals, some, flags), **params)

    results, moved = jax.jvp(moving, flagged(primals, flags), flagged(tangents, flags))
    return results, [
        t if is_inexact(r) else zero_like(r) for r, t in zip(results, moved, strict=True)
    ]


def _batch(
    args: Sequence[Value], axes: Sequence[int | None], *, flags: Flags, **params: Any
) -> tuple[list[Value], list[int | None]]:
    """Values that are not batched stay so: then only their tangents are a scan of the batch."""
    count = _number_of_values(args, flags)
    if all(axis is None for axis in axes[:count]):
        values, scan = recorded(*args[:count], flags=flags, **params)
        moved = jax.vmap(scan.of, axes[count:])(*args[count:])
        return [*values, *moved], [*(None for _ in values), *(0 for _ in moved)]
    return _batch_of_both(args, axes, flags, **params)


def _batch_of_both(
    args: Sequence[Value],
    axes: Sequence[int | None],
    flags: Flags,
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    **options: Any,
) -> tuple[list[Value], list[int | None]]:
    """The tangent of the scan of the batch."""
    count = _number_of_values(args, flags)
    place = count - sum(sizes)
    flat_flags = [*(False for _ in range(place)), *itertools.chain(*flags)]
    batched = [axis is not None for axis in axes[:count]]
    for value, axis in zip(itertools.compress(range(count), flat_flags), axes[count:], strict=True):
        batched[value] |= axis is not None
    size = next(v.shape[a] for v, a in zip(args, axes, strict=True) if a is not None)
    fronts = [*batched, *flagged(batched, flat_flags)]
    values, tangents = split(
        [_front(*each, size) for each in zip(args, axes, fronts, strict=True)],
        (count, len(args) - count),
    )
    carry = split(batched, (place + sizes[0] + sizes[1], sizes[2]))[1]
    moves = _moving_results(body, flags)
    out_axes = [
        None if s and not b else 0 for s, b in zip(passed_on(body, sizes), carry, strict=True)
    ]
    out_axes += [0] * (len(moves) - len(out_axes))
    scans = jax.vmap(
        functools.partial(dynamic_scan_p.bind, body=body, sizes=sizes, **options),
        [0 if b else None for b in batched],
        out_axes,
    )

    def moving(*some: Value) -> list[Value]:
        return scans(*_merged(values, some, flat_flags))

    results, moved = jax.jvp(moving, flagged(values, flat_flags), tangents)
    return [*results, *flagged(moved, moves)], [*out_axes, *flagged(out_axes, moves)]


def _front(value: Value, axis: int | None, batched: bool, size: int) -> Value:
    """The value with the axis of the batch first, if it is to have one."""
    if not batched:
        return value
    if axis is None:
        return jnp.broadcast_to(value, (size, *value.shape))
    return jnp.moveaxis(value, axis, 0)


register(dynamic_scan_jvp_p, run=together, types=_types, batch=_batch, jvp=_jvp_of_both)
register_parting(
    dynamic_scan_jvp_p,
    dynamic_scan_p,
    number_of_values=_number_of_values,
    number_of_results=lambda body, **_: len(body.out_avals),
    part=recorded,
)
