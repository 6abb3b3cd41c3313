"""dynamic_scan: a scan over the first n rows, n traced, with derivatives of any order."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ..._primitive import (
    Value,
    program_of,
    register,
)
from ._scan_batching import batch
from ._scan_primitive import bind, body_types, dynamic_scan_p, result_types, run, split
from ._scan_tangent import jvp
from ._scan_transpose import transpose


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
        length: the number of rows.

    Returns:
        The last carry, and the rows out; those from `n` on are 0.
    """
    return linear_scan(
        lambda constants, row, carry, _: body(constants, row, carry),
        n,
        constants,
        rows,
        carry,
        (),
        length=length,
    )


def linear_scan(
    body: Callable[..., tuple[PyTree, PyTree]],
    n: jax.Array,
    constants: PyTree,
    rows: PyTree,
    carry: PyTree,
    linear_rows: PyTree,
    *,
    length: int,
    order: jax.Array | None = None,
) -> tuple[Any, Any]:
    """`dynamic_scan` that can be transposed in its last two arguments.

    What all iterations read and is to be transposed belongs to the carry, and is handed on as it
    is. Its cotangents are then added up in place, over scans inside scans as well, where what
    follows takes it from the last carry of the inner scan.

    Args:
        body: `body(constants, row, carry, linear_row) -> (carry, row out)`, linear in its last two
            arguments together.
        n: as in `dynamic_scan`, as are the others.
        constants: not transposed.
        rows: not transposed.
        carry: transposed.
        linear_rows: transposed.
        length: the number of rows.
        order: int32, the row that each iteration reads and writes; all different. Its own number
            by default.
    """
    groups = (constants, rows, carry, linear_rows)
    leaves = [jax.tree.leaves(group) for group in groups]
    trees = [jax.tree.structure(group) for group in groups]
    found: list[Value] = []

    def flat(*args: Value) -> list[Value]:
        parts = split(args, map(len, leaves))
        out = body(*(tree.unflatten(part) for tree, part in zip(trees, parts, strict=True)))
        found[:] = map(jax.tree.structure, out)
        return jax.tree.leaves(out)

    program, closed_over = program_of(flat, body_types(leaves))
    leaves[0] = [*closed_over, *leaves[0]]
    place = [n] if order is None else [n, order]
    last, out = bind(program, place, leaves, length=length, reverse=False)
    return found[0].unflatten(last), found[1].unflatten(out)


register(
    dynamic_scan_p,
    run=run,
    types=result_types,
    batch=batch,
    jvp=jvp,
    transpose=transpose,
)
