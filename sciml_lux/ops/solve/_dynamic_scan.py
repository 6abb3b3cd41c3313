"""dynamic_scan: a scan over the first n rows, n traced, with derivatives of any order."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    instantiated,
    is_inexact,
    is_undefined,
    is_zero,
    jaxpr_as_fun,
    program_of,
    pruned,
    register,
    type_of,
    zero_like,
)

Sizes = Sequence[int]
Groups = Sequence[Sequence[Value]]
"""The arguments of `linear_scan` from `constants` on, as lists of leaves."""


def dynamic_scan(
    body: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]],
    n: jax.Array,
    constants: PyTree,
    rows: PyTree,
    carry: PyTree,
    *,
    length: int,
) -> tuple[Any, Any]:
    """`jax.lax.scan` over the first `n` of `length` rows.

    It has every derivative, forward and reverse in any nesting, at a cost that follows `n` and not
    `length`. Each is again a `dynamic_scan`.

    Args:
        body: `body(constants, row, carry) -> (carry, row out)`; may close over traced arrays.
        n: int32 scalar, at most `length`.
        constants: arrays that each iteration sees whole.
        rows: arrays of `length` rows, one row an iteration.
        carry: what one iteration hands to the next.
        length: rows there are room for.

    Returns:
        The last carry, and the rows out; those from `n` on are 0.
    """
    return linear_scan(
        lambda constants, row, _, carry, __: body(constants, row, carry),
        n,
        constants,
        rows,
        (),
        carry,
        (),
        length=length,
    )


def linear_scan(
    body: Callable[..., tuple[PyTree, PyTree]],
    n: jax.Array,
    constants: PyTree,
    rows: PyTree,
    linear_constants: PyTree,
    carry: PyTree,
    linear_rows: PyTree,
    *,
    length: int,
    order: jax.Array | None = None,
) -> tuple[Any, Any]:
    """`dynamic_scan` that can be transposed in its last three arguments.

    Args:
        body: `body(constants, row, linear_constants, carry, linear_row) -> (carry, row out)`,
            linear in its last three arguments together.
        n: as in `dynamic_scan`, as are the others.
        constants: not transposed.
        rows: not transposed.
        linear_constants: transposed.
        carry: transposed.
        linear_rows: transposed.
        length: rows there are room for.
        order: int32, the row that each iteration reads and writes; all different. Its own number
            by default.
    """
    groups = (constants, rows, linear_constants, carry, linear_rows)
    leaves = [jax.tree.leaves(group) for group in groups]
    trees = [jax.tree.structure(group) for group in groups]
    found: list[Value] = []

    def flat(*args: Value) -> list[Value]:
        parts = _split(args, map(len, leaves))
        out = body(*(tree.unflatten(part) for tree, part in zip(trees, parts, strict=True)))
        found[:] = map(jax.tree.structure, out)
        return jax.tree.leaves(out)

    program, closed_over = program_of(flat, _body_types(leaves))
    leaves[0] = [*closed_over, *leaves[0]]
    place = [n] if order is None else [n, order]
    last, out = _bind(program, place, leaves, length=length, reverse=False)
    return found[0].unflatten(last), found[1].unflatten(out)


dynamic_scan_p = Primitive("dynamic_scan")
dynamic_scan_p.multiple_results = True


def _bind(
    body: ClosedJaxpr, place: Sequence[Value], groups: Groups, *, length: int, reverse: bool
) -> tuple[list[Value], list[Value]]:
    """The carry and the rows out.

    Args:
        body: of the iteration.
        place: n, and the order of the rows unless it is theirs.
        groups: the arguments of `linear_scan`, in its order.
        length: rows there are room for.
        reverse: whether the last of the n comes first.
    """
    out = dynamic_scan_p.bind(
        *place,
        *itertools.chain(*groups),
        body=body,
        sizes=tuple(map(len, groups)),
        length=length,
        reverse=reverse,
    )
    carried = len(groups[3])
    return list(out[:carried]), list(out[carried:])


def _types(values: Sequence[Value]) -> list[Value]:
    return [type_of(value) for value in values]


def _row_types(values: Sequence[Value]) -> list[Value]:
    return [jax.ShapeDtypeStruct(t.shape[1:], t.dtype) for t in _types(values)]


def _body_types(groups: Groups) -> list[Value]:
    c, xs, dc, k, us = groups
    return [*_types(c), *_row_types(xs), *_types(dc), *_types(k), *_row_types(us)]


def _split(values: Sequence[Value], sizes: Iterable[int]) -> list[list[Value]]:
    rest = iter(values)
    return [list(itertools.islice(rest, size)) for size in sizes]


def _placed(args: Sequence[Value], sizes: Sizes) -> tuple[list[Value], list[list[Value]]]:
    """n with the order if there is one, and the groups."""
    place = len(args) - sum(sizes)
    return list(args[:place]), _split(args[place:], sizes)


def _where(values: Sequence[Value], flags: Sequence[bool]) -> list[Value]:
    return list(itertools.compress(values, flags))


def _run(*args: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool) -> list[Value]:
    """The scan as a while loop: the meaning of the primitive, and what it compiles to."""
    (n, *order), (c, xs, dc, k, us) = _placed(args, sizes)
    f = jaxpr_as_fun(body)
    out = [jnp.zeros((length, *a.shape), a.dtype) for a in body.out_avals[len(k) :]]

    def rows(values: list[Value], at: jax.Array) -> list[Value]:
        return [jax.lax.dynamic_index_in_dim(v, at, 0, keepdims=False) for v in values]

    def iteration(state: tuple[jax.Array, list[Value], list[Value]]) -> Any:
        i, k, out = state
        at = n - 1 - i if reverse else i
        at = order[0][at] if order else at
        k, row = _split(f(*c, *rows(xs, at), *dc, *k, *rows(us, at)), (len(k), len(out)))
        put = jax.lax.dynamic_update_index_in_dim
        return i + 1, k, [put(o, v, at, 0) for o, v in zip(out, row, strict=True)]

    state = (jnp.zeros_like(n), k, out)
    _, k, out = jax.lax.while_loop(lambda state: state[0] < n, iteration, state)
    return [*k, *out]


def _result_types(*args: Value, body: ClosedJaxpr, sizes: Sizes, length: int, reverse: bool) -> Any:
    types = [(a.shape, a.dtype) for a in body.out_avals]
    carried, rows = types[: sizes[3]], types[sizes[3] :]
    return [*carried, *(((length, *shape), dtype) for shape, dtype in rows)]


def _jvp(
    primals: Sequence[Value],
    tangents: Sequence[Value],
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The tangent is a linear scan over the primal's rows and over the carries that it passed."""
    place, groups = _placed(primals, sizes)
    c, xs, dc, k, us = groups
    _, moved = _placed(tangents, sizes)
    flags = [[not is_zero(t) for t in group] for group in moved]
    flags[3] = [is_inexact(value) for value in k]
    tc, tx, tdc, tk, tu = (
        [instantiated(t) for t in _where(*pair)] for pair in zip(moved, flags, strict=True)
    )
    linear = [[*tc, *tdc], tk, [*tx, *tu]]
    types = [*_types([*c, *dc]), *_row_types([*xs, *us]), *_types([*k, *linear[0], *tk])]
    program, constants = program_of(
        _tangent_body(body, sizes, flags), [*types, *_row_types(linear[2])]
    )
    residual = [*constants, *c, *dc]
    counts = (len(residual), len(xs) + len(us), len(k))
    kept = [False] * sum(counts) + [True] * sum(map(len, linear))
    program, used = pruned(program, [True] * len(program.out_avals), kept)
    whole, rows, passed = _split(used, counts)

    # Only the carries that the tangent reads are recorded.
    recording, constants = program_of(_recording_body(body, sizes, passed), _body_types(groups))
    recorded = [[*constants, *c], xs, dc, k, us]
    last, out = _bind(recording, place, recorded, length=length, reverse=reverse)
    out, carries = _split(out, (len(body.out_avals) - len(k), sum(passed)))
    residual_rows = [*_where([*xs, *us], rows), *carries]
    operands = [_where(residual, whole), residual_rows, *linear]
    tangent_last, tangent_out = _bind(program, place, operands, length=length, reverse=reverse)

    results = [*last, *out]
    moving = iter([*tangent_last, *tangent_out])
    return results, [next(moving) if is_inexact(r) else zero_like(r) for r in results]


def _tangent_body(
    body: ClosedJaxpr, sizes: Sizes, flags: list[list[bool]]
) -> Callable[..., list[Value]]:
    """The derivative of the body, from its arguments and the tangents of those with a flag.

    Arguments: constants, rows and carry of the primal, then the tangents of constants, of the carry
    and of rows; each in the order of the body's groups.
    """
    f, out_flags = jaxpr_as_fun(body), [is_inexact(a) for a in body.out_avals]
    flat_flags = list(itertools.chain(*flags))
    nc, nx, ndc, nk, nu = sizes
    mc, mx, mdc, mk, mu = map(sum, flags)

    def tangent(*args: Value) -> list[Value]:
        c, dc, xs, us, k, tc, tdc, tk, tx, tu = _split(
            args, (nc, ndc, nx, nu, nk, mc, mdc, mk, mx, mu)
        )
        values = [*c, *xs, *dc, *k, *us]

        def moving(*some: Value) -> list[Value]:
            rest = iter(some)
            merged = (next(rest) if m else v for m, v in zip(flat_flags, values, strict=True))
            return _where(f(*merged), out_flags)

        return jax.jvp(moving, _where(values, flat_flags), [*tc, *tx, *tdc, *tk, *tu])[1]

    return tangent


def _recording_body(
    body: ClosedJaxpr, sizes: Sizes, passed: list[bool]
) -> Callable[..., list[Value]]:
    """The body, which returns the carries with a flag as rows too."""
    f = jaxpr_as_fun(body)

    def recording(*args: Value) -> list[Value]:
        return [*f(*args), *_where(_split(args, sizes)[3], passed)]

    return recording


def _transpose(
    cotangents: Sequence[Value],
    *args: Value,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> Any:
    """The transpose is a linear scan the other way, which adds up for the linear constants."""
    place, groups = _placed(args, sizes)
    c, xs, dc, k, _ = groups
    # The carry is passed on whole; what is known of the others counts as 0, by linearity.
    wanted = [[is_undefined(value) for value in group] for group in groups]
    wanted[3] = [True] * len(k)
    ck, cy = _split(cotangents, (len(k), len(cotangents) - len(k)))
    given = [not is_zero(t) for t in cy]
    sums = [jnp.zeros(t.shape, t.dtype) for t in _types(_where(dc, wanted[2]))]
    start = [*sums, *map(instantiated, ck)]
    operands = [c, xs, [], start, _where(cy, given)]
    backward = _transposed_body(body, _body_types(groups), sizes, wanted, given)
    program, constants = program_of(backward, _body_types(operands))
    operands[0] = [*constants, *c]
    last, rows = _bind(program, place, operands, length=length, reverse=not reverse)
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
    """From constants, rows, sums and cotangents of carry and rows to those before the iteration."""
    f = jaxpr_as_fun(body)
    flags = list(itertools.chain(*wanted))
    nc, nx, _, nk, _ = sizes
    counts = (nc, nx, sum(wanted[2]), nk, sum(given))

    def backward(*args: Value) -> list[Value]:
        c, xs, sums, ck, cy = _split(args, counts)
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

        found = list(jax.linear_transpose(forward, *_where(types, flags))(cotangents))
        parts, rest = _split(found, (len(sums), len(found) - len(sums)))
        return [*(a + b for a, b in zip(sums, parts, strict=True)), *rest]

    return backward


def _batch(
    args: Sequence[Value],
    axes: Sequence[int | None],
    *,
    body: ClosedJaxpr,
    sizes: Sizes,
    length: int,
    reverse: bool,
) -> tuple[list[Value], list[Value]]:
    """One scan for the batch; what is not batched stays so, but for the carry."""
    size = next(v.shape[axis] for v, axis in zip(args, axes, strict=True) if axis is not None)
    (place, groups), (place_axes, group_axes) = _placed(args, sizes), _placed(axes, sizes)
    if any(axis is not None for axis in place_axes[1:]):
        raise ValueError("`linear_scan` expects `order` to be the same for all of a batch.")
    if place_axes[0] is not None:
        n = jnp.moveaxis(place[0], place_axes[0], 0)
        groups, group_axes, body = _waiting(n, place[1:], groups, group_axes, body, length)
        place = [n.max(), *place[1:]]
    # Rows come first: the batch is the second axis of rows, and the first of the others.
    moved = [
        [
            v if a is None else jnp.moveaxis(v, a, int(i in (1, 4)))
            for v, a in zip(*pair, strict=True)
        ]
        for i, pair in enumerate(zip(groups, group_axes, strict=True))
    ]
    batched = [[a is not None for a in group] for group in group_axes]
    moved[3] = [
        v if b else jnp.broadcast_to(v, (size, *v.shape))
        for v, b in zip(moved[3], batched[3], strict=True)
    ]
    batched[3] = [True] * len(moved[3])
    in_axes = tuple(0 if b else None for b in itertools.chain(*batched))
    mapped = jax.vmap(jaxpr_as_fun(body), in_axes, axis_size=size)
    program, constants = program_of(mapped, _body_types(moved))
    moved[0] = [*constants, *moved[0]]
    last, rows = _bind(program, place, moved, length=length, reverse=reverse)
    return [*last, *rows], [*(0 for _ in last), *(1 for _ in rows)]


def _waiting(
    n: jax.Array,
    order: list[Value],
    groups: Groups,
    axes: Sequence[list[int | None]],
    body: ClosedJaxpr,
    length: int,
) -> tuple[Any, Any, Any]:
    """Groups, axes and body of scans as long as the longest of a batch; the others wait."""
    f = jaxpr_as_fun(body)
    sizes = tuple(map(len, groups))
    carried = sizes[3]

    def waiting(*args: Value) -> list[Value]:
        (own, *firsts), rest = args[: 1 + sizes[1]], args[1 + sizes[1] :]
        c, (at, *xs), dc, k, us = _split(rest, (sizes[0], 1 + sizes[1], *sizes[2:]))
        runs = at < own
        # A row beyond the end is all 0, where the body need not be defined: the first stands in.
        xs = [jnp.where(runs, x, first) for x, first in zip(xs, firsts, strict=True)]
        us = [jnp.where(runs, u, jnp.zeros_like(u)) for u in us]
        out = f(*c, *xs, *dc, *k, *us)
        idle = [*k, *map(jnp.zeros_like, out[carried:])]
        return [jnp.where(runs, new, old) for new, old in zip(out, idle, strict=True)]

    c, xs, dc, k, us = groups
    numbers = jnp.arange(length, dtype=n.dtype)
    start = 0
    if order:
        start, numbers = order[0][0], jnp.zeros_like(numbers).at[order[0]].set(numbers)
    firsts = [jnp.take(x, start, axis=int(a == 0)) for x, a in zip(xs, axes[1], strict=True)]
    first_axes = [None if a is None else max(a - 1, 0) for a in axes[1]]
    groups = [[n, *firsts, *c], [numbers, *xs], dc, k, us]
    axes = [[0, *first_axes, *axes[0]], [None, *axes[1]], *axes[2:]]
    shapes = [
        [_without(v, a) for v, a in zip(*pair, strict=True)]
        for pair in zip(groups, axes, strict=True)
    ]
    program, constants = program_of(waiting, _body_types(shapes))
    groups[0], axes[0] = [*constants, *groups[0]], [*(None for _ in constants), *axes[0]]
    return groups, axes, program


def _without(value: Value, axis: int | None) -> Any:
    """The type of one of the batch."""
    shape = list(value.shape)
    if axis is not None:
        del shape[axis]
    return jax.ShapeDtypeStruct(tuple(shape), value.dtype)


register(
    dynamic_scan_p,
    run=_run,
    types=_result_types,
    batch=_batch,
    jvp=_jvp,
    transpose=_transpose,
)
