"""Layer normalisation."""

from typing import Any, Literal

from jaxtyping import Array, Float

from ...core.internal import is_integer
from .._op import op
from ..activations import identity
from ._moments import Activation, epsilon_for, over_axes, scaled_and_shifted, standardized, working


@op("x", "scale", "bias")
def layernorm(
    x: Float[Array, "..."],
    scale: Float[Array, "*features"] | None,
    bias: Float[Array, "*features"] | None,
    activation: Activation = identity,
    axis: int | tuple[int, ...] | Literal["sample"] | None = "sample",
    epsilon: float | None = None,
) -> Float[Array, "..."]:
    """activation((x - μ) / √(σ² + epsilon) scale + bias), with μ and σ² over `axis`.

    Args:
        x: real floats.
        scale: of the shape of the last axes of x, or None.
        bias: the same.
        activation: elementwise function.
        axis: over which the mean and the biased variance are taken: an axis or several; "sample",
            every axis but the first; None, all axes, so that samples of a batch mix.
        epsilon: added to the variance; by default eps^(5/7) of the dtype of x.

    Returns:
        As `x`, in the widest of the dtypes; float16 and bfloat16 are computed in float32 and
        rounded at the end.

    Raises:
        ValueError: x has no such axis; scale or bias does not have the shape of the last axes of x.
        TypeError: an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: `layernorm` of LuxLib 1.15, features last, with the same default. Lux's `dims=nothing`,
        which takes the axes of `scale`, is spelt out here, such as `axis=-1`. arXiv 1607.06450.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[1.0, 3.0], [10.0, 30.0]], jnp.float32)
        >>> layernorm(x, None, None, axis=-1, epsilon=0.0).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    wide, dtype = working("layernorm", x, scale, bias)
    axes = _axes(axis, x.ndim)
    if not all(is_integer(a) and -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(
            f'`layernorm` expects `axis` to be axes of `x`, "sample" or None, got {axis!r} for '
            f"`x` of shape {x.shape}."
        )
    epsilon = epsilon_for(x.dtype, epsilon)
    ranks = [p.ndim for p in (scale, bias) if p is not None]
    features = x.shape[x.ndim - max(ranks, default=0) :]
    z, _, _ = standardized(wide, over_axes(axes), epsilon)
    return activation(scaled_and_shifted("layernorm", z, scale, bias, features, dtype))


def _axes(axis: Any, ndim: int) -> tuple[Any, ...]:
    if axis is None or axis == "sample":
        return tuple(range(axis is not None, ndim))
    return axis if isinstance(axis, tuple) else (axis,)
