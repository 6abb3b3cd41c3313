"""Normalisation by the root mean square."""

from jaxtyping import Array, Float

from ...core.internal import is_integer
from .._op import op
from ._moments import (
    epsilon_for,
    inverse_root,
    over_axes,
    scaled_and_shifted,
    shift,
    unit_for,
    working,
)


@op("x", "scale")
def rmsnorm(
    x: Float[Array, "..."],
    scale: Float[Array, "*features"] | None,
    axis: int | tuple[int, ...] = -1,
    epsilon: float | None = None,
) -> Float[Array, "..."]:
    """x / √(mean(x²) + epsilon) scale, with the mean over `axis`.

    Args:
        x: real floats.
        scale: of the shape of the last axes of x, or None.
        axis: over which the mean is taken, an axis or several.
        epsilon: added to the mean square; by default eps^(5/7) of the dtype of x.

    Returns:
        As `x`, in the widest of the dtypes; float16 and bfloat16 are computed in float32 and
        rounded at the end.

    Raises:
        ValueError: x has no such axis; scale does not have the shape of the last axes of x.
        TypeError: an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: the layer `RMSNorm` of Lux 1.31, features last. arXiv 1910.07467.

    Example:
        >>> import jax.numpy as jnp
        >>> print(rmsnorm(jnp.asarray([1.0, 7.0], jnp.float32), None, epsilon=0.0).round(1))
        [0.2 1.4]
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not all(is_integer(a) and -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(
            f"`rmsnorm` expects `axis` to be axes of `x`, got {axis!r} for `x` of shape {x.shape}."
        )
    wide, dtype = working("rmsnorm", x, scale)
    epsilon = epsilon_for(x.dtype, epsilon)
    over = over_axes(axes)
    unit = unit_for(wide, 0.0, over, epsilon)
    scaled = wide * unit
    inverse, _ = inverse_root(over, scaled, shift(epsilon, unit, wide.dtype))
    z = scaled * inverse
    features = x.shape[x.ndim - (0 if scale is None else scale.ndim) :]
    return scaled_and_shifted("rmsnorm", z, scale, None, features, dtype)
