"""Reversing time, of each sequence over its own length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Shaped

from ...precision import accumulating
from ...precision.internal import count_in_int32
from .._op import op


@op("x")
def reverse_sequence(
    x: Shaped[Array, "..."],
    lengths: Integer[Array, "..."] | None = None,
    *,
    axis: int = -2,
) -> Shaped[Array, "..."]:
    """y[..., t, ...] = x[..., n - 1 - t, ...] for t < n and x[..., t, ...] after, along `axis`.

    Args:
        x: any array.
        lengths: n of each sequence, over the axes before `axis`; None for the whole axis. One
            above the size of the axis counts as the whole.
        axis: the axis of time.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: there is no such axis; `lengths` has another shape.
        TypeError: `lengths` is not of integers.

    Source: what `ReverseSequence` of Lux 1.31 does; lengths are ours.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[1, 2, 3], [4, 5, 6]])
        >>> reverse_sequence(x, jnp.asarray([2, 3]), axis=-1).tolist()
        [[2, 1, 3], [6, 5, 4]]
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"`reverse_sequence` expects `x` to have the axis {axis}, got shape {x.shape}."
        )
    axis %= x.ndim
    if lengths is None:
        return jnp.flip(x, axis)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(
            f"`reverse_sequence` expects `lengths` to be integers, got {lengths.dtype}."
        )
    if lengths.shape != x.shape[:axis]:
        raise ValueError(
            f"`reverse_sequence` expects `lengths` over the axes before time, {x.shape[:axis]}, "
            f"got shape {lengths.shape}."
        )
    times = jax.lax.broadcasted_iota(jnp.int32, x.shape[: axis + 1], axis)
    ends = count_in_int32(lengths, x.shape[axis])
    ends = jax.lax.broadcast_in_dim(ends, times.shape, tuple(range(axis)))
    source = jnp.where(times < ends, ends - 1 - times, times)
    source = jnp.expand_dims(source, tuple(range(axis + 1, x.ndim)))
    # Under `jax.vmap`, several lengths may go with one `x`.
    return accumulating(lambda x: jnp.take_along_axis(x, source, axis, mode="promise_in_bounds"), x)
