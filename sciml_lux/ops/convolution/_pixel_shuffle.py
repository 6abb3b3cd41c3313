"""Pixel shuffle: channels to finer pixels."""

import itertools

from jaxtyping import Array, Shaped

from .._op import op


@op("x")
def pixel_shuffle(
    x: Shaped[Array, "batch *spatial channels"], factor: int
) -> Shaped[Array, "batch *finer fewer_channels"]:
    """x with blocks of rᵈ channels laid out as pixels, d spatial axes each r times as long.

    y[b, r p₁ + i₁, ..., r p_d + i_d, c] = x[b, p₁, ..., p_d, (...(c r + i₁) r + ...) r + i_d].

    Args:
        x: (batch, *spatial, rᵈ channels), of any dtype.
        factor: r, at least 1.

    Returns:
        (batch, *r spatial, channels).

    Raises:
        ValueError: `x` without spatial axes, `factor` below 1, a number of channels that rᵈ does
            not divide.

    Source: `pixel_shuffle` of NNlib, as Lux 1.31 exports it, and arXiv 1609.05158. The place in a
        block runs fastest along NNlib's first axis, the width; that is our last spatial axis and
        PyTorch's, so all three have the same order of channels.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(4, dtype=jnp.float32).reshape(1, 1, 1, 4)
        >>> pixel_shuffle(x, 2)[0, :, :, 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    batch, *spatial, channels = x.shape if x.ndim else (0, 0)
    axes = len(spatial)
    if x.ndim < 3 or factor < 1 or channels % factor**axes:
        raise ValueError(
            "`pixel_shuffle` expects `x` (batch, *spatial, channels) with channels that "
            f"factor**{max(axes, 1)} divides, and `factor` of at least 1, got shape {x.shape} and "
            f"{factor}."
        )
    fewer = channels // factor**axes
    blocks = x.reshape(batch, *spatial, fewer, *(factor,) * axes)
    # Each spatial axis is followed by its place in the block.
    pairs = [(1 + axis, 2 + axes + axis) for axis in range(axes)]
    order = (0, *itertools.chain.from_iterable(pairs), 1 + axes)
    return blocks.transpose(order).reshape(batch, *(factor * size for size in spatial), fewer)
