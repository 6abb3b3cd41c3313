"""Rows of a table by index."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Integer

from ...precision import accumulating
from ...precision.internal import index_in_int32
from .._op import op


@op("table")
def gather(table: Inexact[Array, "..."], *indices: Integer[Array, "..."]) -> Inexact[Array, "..."]:
    """table[i, j, ...] for every index, or tuple of indices, in arrays of one shape.

    Args:
        table: one axis for each of `indices`, then the axes of a row.
        *indices: integers from 0, arrays of equal shapes.

    Returns:
        The shape of an index array followed by that of a row, in the dtype of `table`. An index
        outside the table, and so a negative one, gives a row of NaN, and sends no gradient to any
        row; nothing is clamped.

    Raises:
        TypeError: indices that are not integers.
        ValueError: no indices, more than `table` has axes, or index arrays of several shapes.

    Source: `gather` of NNlib.jl, which counts from 1 and raises outside.

    Example:
        >>> import jax.numpy as jnp
        >>> gather(jnp.asarray([[1.0, 2.0], [3.0, 4.0]], jnp.float32), jnp.asarray([1, 2])).tolist()
        [[3.0, 4.0], [nan, nan]]
    """
    for index in indices:
        if not jnp.issubdtype(index.dtype, jnp.integer):
            raise TypeError(
                f"`gather` expects indices that are integers, got {index.dtype.name}. Convert "
                "them: indices.astype(jnp.int32)."
            )
    shapes = [index.shape for index in indices]
    if not 1 <= len(indices) <= table.ndim or len(set(shapes)) > 1:
        raise ValueError(
            f"`gather` expects 1 to {table.ndim} index arrays of equal shapes for a table of "
            f"shape {table.shape}, got {len(indices)} of shapes {shapes}."
        )
    sized = zip(indices, table.shape, strict=False)
    inside = tuple(index_in_int32(index, size) for index, size in sized)

    def rows(table: Array) -> Array:
        at = table.at[inside]
        return at.get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)

    return accumulating(rows, jnp.asarray(table))
