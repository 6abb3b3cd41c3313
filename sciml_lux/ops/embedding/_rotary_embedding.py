"""Rotary position embedding: features turned by an angle that grows with the position."""

import decimal
from decimal import Decimal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from ...precision import accumulating, promote
from ...precision.internal import resolve_dtype
from .._op import op
from ._gather import gather


def compute_rotary_embedding_params(
    head_dim: int,
    max_sequence_length: int,
    *,
    base: float = 10000,
    dtype: Any = jnp.float32,
    low_memory_variant: bool = True,
) -> tuple[Float[Array, "length width"], Float[Array, "length width"]]:
    """cos(t θᵢ) and sin(t θᵢ) with θᵢ = base^(-2i/head_dim), for every position t.

    Args:
        head_dim: number of features that are turned, even.
        max_sequence_length: positions 0, 1, ..., max_sequence_length - 1.
        base: of the angular frequencies.
        dtype: floating dtype of the result.
        low_memory_variant: width head_dim/2; else head_dim, with each angle twice.

    Returns:
        cos and sin, (max_sequence_length, width). The angles are computed in more than float64
        on the host, so that also late positions have all the digits of `dtype`.

    Raises:
        ValueError: `head_dim` is odd, a size is negative, `base` is not positive.
        TypeError: `dtype` is not floating, or is float64 while `jax_enable_x64` is off.

    Source: `compute_rotary_embedding_params` of Lux 1.31, which works in `dtype` throughout and
        loses digits with the position; arXiv 2104.09864.

    Example:
        >>> cos, sin = compute_rotary_embedding_params(4, 8)
        >>> cos.shape, cos[0].tolist(), sin[0].tolist()
        ((8, 2), [1.0, 1.0], [0.0, 0.0])
    """
    dtype = resolve_dtype(dtype, "`compute_rotary_embedding_params`: `dtype`")
    if head_dim < 0 or head_dim % 2 or max_sequence_length < 0 or not base > 0:
        raise ValueError(
            "`compute_rotary_embedding_params` expects an even `head_dim`, a length of at least "
            f"0 and a positive `base`, got {head_dim}, {max_sequence_length} and {base!r}."
        )
    cos, sin = _on_host(head_dim, max_sequence_length, base)
    if not low_memory_variant:
        cos, sin = np.tile(cos, (1, 2)), np.tile(sin, (1, 2))
    real = jnp.finfo(dtype).dtype
    return jnp.asarray(cos.astype(real)), jnp.asarray(sin.astype(real))


def _on_host(head_dim: int, length: int, base: float) -> tuple[np.ndarray, np.ndarray]:
    with decimal.localcontext() as context:
        context.prec = 40
        exponents = [Decimal(-2 * i) / Decimal(head_dim) for i in range(head_dim // 2)]
        frequencies = [Decimal(float(base)) ** exponent for exponent in exponents]
        coarse = [round(frequency * 2**24) for frequency in frequencies]
        rest = [float(f - Decimal(c) / 2**24) for f, c in zip(frequencies, coarse, strict=True)]
    # In float64 a position times 24 bits is exact, and the small angle left over needs no more
    # digits; the product with the whole frequency would lose as many as the position has.
    position = np.arange(length, dtype=np.float64)[:, None]
    large = position * (np.asarray(coarse, np.float64) / 2**24)
    small = position * np.asarray(rest, np.float64)
    cos = np.cos(large) * np.cos(small) - np.sin(large) * np.sin(small)
    sin = np.sin(large) * np.cos(small) + np.cos(large) * np.sin(small)
    return cos, sin


@op("x", "cos_cache", "sin_cache")
def apply_rotary_embedding(
    x: Float[Array, "... dim"],
    cos_cache: Float[Array, "length width"],
    sin_cache: Float[Array, "length width"],
    *,
    positions: Integer[Array, " time"] | None = None,
    seq_axis: int = -3,
) -> Float[Array, "... dim"]:
    """(x₁ cos - x₂ sin, x₂ cos + x₁ sin), with the halves x₁, x₂ of the last axis.

    Args:
        x: by default (..., time, heads, dim).
        cos_cache: from `compute_rotary_embedding_params`, of width dim/2 or dim.
        sin_cache: the same.
        positions: (time,), integers from 0; by default 0, 1, 2, ...
        seq_axis: the axis of `x` that is time.

    Returns:
        The shape of `x`, in the widest of the dtypes; float16 and bfloat16 are computed in float32
        and rounded at the end. Positions outside the caches, negative ones among them, give NaN.

    Raises:
        ValueError: shapes that do not fit, or more time steps than the caches hold.
        TypeError: `positions` are not integers.

    Source: `apply_rotary_embedding` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> cos, sin = compute_rotary_embedding_params(4, 8)
        >>> apply_rotary_embedding(jnp.ones((5, 3, 2, 4), jnp.float32), cos, sin).shape
        (5, 3, 2, 4)
    """
    axis = seq_axis + x.ndim if seq_axis < 0 else seq_axis
    if not 0 <= axis < x.ndim - 1:
        raise ValueError(
            "`apply_rotary_embedding` expects `seq_axis` to be an axis of `x` before the last, "
            f"got {seq_axis} for shape {x.shape}."
        )
    dim = x.shape[-1]
    if (
        cos_cache.shape != sin_cache.shape
        or dim % 2
        or cos_cache.shape[1:]
        not in (
            (dim,),
            (dim // 2,),
        )
    ):
        raise ValueError(
            f"`apply_rotary_embedding` expects an even last axis of `x` and two caches (length, "
            f"{dim // 2}) or (length, {dim}), got {x.shape}, {cos_cache.shape} and "
            f"{sin_cache.shape}."
        )
    x, cos, sin = promote(x, cos_cache, sin_cache)
    cos, sin = (_at(cache, positions, x.shape[axis]) for cache in (cos, sin))
    if cos.shape[1] != dim:
        cos, sin = jnp.concatenate([cos, cos], axis=1), jnp.concatenate([sin, sin], axis=1)

    def turned(x: Array, cos: Array, sin: Array) -> Array:
        along = (axis, x.ndim - 1)
        cos, sin = (jax.lax.broadcast_in_dim(a, x.shape, along) for a in (cos, sin))
        first, second = jnp.split(x, 2, axis=-1)
        return x * cos + jnp.concatenate([-second, first], axis=-1) * sin

    return accumulating(turned, x, cos, sin)


def _at(cache: Array, positions: Array | None, time: int) -> Array:
    """The rows of a cache, (time, width)."""
    if positions is None:
        if time > cache.shape[0]:
            raise ValueError(
                f"`apply_rotary_embedding` expects at most {cache.shape[0]} time steps, the "
                f"length of the caches, got {time}. Make longer ones."
            )
        return cache[:time]
    if not jnp.issubdtype(positions.dtype, jnp.integer):
        raise TypeError(
            f"`apply_rotary_embedding` expects `positions` to be integers, got "
            f"{positions.dtype.name}."
        )
    if positions.shape != (time,):
        raise ValueError(
            f"`apply_rotary_embedding` expects `positions` of shape ({time},), one for each time "
            f"step, got {positions.shape}."
        )
    return gather(cache, positions)
