"""Matrix products over a batch."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from ...precision import promote
from .._op import op

Axes = int | tuple[int, ...]


@op("x", "y")
def batched_matmul(
    x: Shaped[Array, "..."],
    y: Shaped[Array, "..."],
    *,
    lhs_contracting_axis: int = -1,
    rhs_contracting_axis: int = -2,
    lhs_batching_axis: Axes | None = None,
    rhs_batching_axis: Axes | None = None,
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Shaped[Array, "..."]:
    """zᵦ = xᵦ yᵦ for each b of the batch: Σₖ x[b, i, k] y[b, k, j].

    Args:
        x: (*batch, i, k) by default.
        y: (*batch, k, j) by default.
        lhs_contracting_axis: the axis of `x` that is summed over.
        rhs_contracting_axis: that of `y`.
        lhs_batching_axis: the axes of `x` that number the batch, one or several; by default all
            but the last two. An axis of size 1 is broadcast, and so is an operand without batch
            axes.
        rhs_batching_axis: those of `y`, in the same order.
        precision: of the products. The default keeps float32 full float32 on accelerators.

    Returns:
        (*batch, *rest of x, *rest of y), where the rest are the axes that are neither batch nor
        summed over, in order; in the wider of the dtypes.

    Raises:
        ValueError: an operand with fewer than two axes where axes are left to the default; axes
            that are not there or given twice; sizes that do not fit.

    Source: `batched_matmul` of LuxLib 1.15, batch first.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.ones((5, 2, 3), jnp.float32), jnp.ones((3, 4), jnp.float32)
        >>> batched_matmul(x, y).shape
        (5, 2, 4)
        >>> batched_matmul(x, x, rhs_contracting_axis=-1).shape
        (5, 2, 2)
    """
    x_batch, x_contract = _axes("lhs", x, lhs_batching_axis, lhs_contracting_axis)
    y_batch, y_contract = _axes("rhs", y, rhs_batching_axis, rhs_contracting_axis)
    rows, columns = _rest(x, x_batch, x_contract), _rest(y, y_batch, y_contract)
    batches = [[x.shape[axis] for axis in x_batch], [y.shape[axis] for axis in y_batch]]
    if not _fit(*batches) or x.shape[x_contract] != y.shape[y_contract]:
        raise ValueError(
            f"`batched_matmul` expects one size along the contracting axes ({x_contract} of `x`, "
            f"{y_contract} of `y`), and equal sizes or 1 along the batching axes ({x_batch} and "
            f"{y_batch}), got shapes {x.shape} and {y.shape}."
        )
    depth = max(map(len, batches))
    x, y = promote(x, y)
    heights, widths = [x.shape[axis] for axis in rows], [y.shape[axis] for axis in columns]
    # As stacks of matrices with equally many batch axes: one without any gets axes of size 1.
    left = x.transpose(*x_batch, *rows, x_contract).reshape(
        *(batches[0] or [1] * depth), math.prod(heights), x.shape[x_contract]
    )
    right = y.transpose(*y_batch, y_contract, *columns).reshape(
        *(batches[1] or [1] * depth), y.shape[y_contract], math.prod(widths)
    )
    z = jnp.matmul(left, right, precision=precision)
    return z.reshape(*z.shape[:depth], *heights, *widths)


def _axes(side: str, a: Array, batching: Axes | None, contracting: int) -> tuple[list[int], int]:
    """The axes of the batch and the one summed over, counted from 0."""
    if batching is None:
        given = tuple(range(a.ndim - 2))
    else:
        given = (batching,) if isinstance(batching, int) else tuple(batching)
    used = [axis % max(a.ndim, 1) for axis in (*given, contracting)]
    inside = all(-a.ndim <= axis < a.ndim for axis in (*given, contracting))
    if not inside or len(set(used)) < len(used):
        raise ValueError(
            f"`batched_matmul` expects `{side}_batching_axis` and `{side}_contracting_axis` to be "
            f"different axes of an array of shape {a.shape}, got {batching} and {contracting}."
        )
    return used[:-1], used[-1]


def _rest(a: Array, batching: list[int], contracting: int) -> list[int]:
    return [axis for axis in range(a.ndim) if axis not in (*batching, contracting)]


def _fit(left: list[int], right: list[int]) -> bool:
    if not left or not right:
        return True
    return len(left) == len(right) and all(
        m == n or 1 in (m, n) for m, n in zip(left, right, strict=True)
    )
