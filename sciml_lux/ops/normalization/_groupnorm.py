"""Group normalisation."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._op import op
from ..activations import identity
from ._moments import Activation, Over, epsilon_for, scaled_and_shifted, standardized, working


@op("x", "scale", "bias")
def groupnorm(
    x: Float[Array, "batch ... channels"],
    scale: Float[Array, " channels"] | None,
    bias: Float[Array, " channels"] | None,
    groups: int,
    activation: Activation = identity,
    epsilon: float | None = None,
) -> Float[Array, "batch ... channels"]:
    """activation((x - μ) / √(σ² + epsilon) scale + bias), μ and σ² of each sample and group.

    A group is channels/groups neighbours on the last axis; its moments, with the biased variance,
    are taken over them and over all axes between the first and the last.

    Args:
        x: (batch, ..., channels), real floats.
        scale: (channels,), or None.
        bias: (channels,), or None.
        groups: how many groups there are; divides channels.
        activation: elementwise function.
        epsilon: added to the variance; by default eps^(5/7) of the dtype of x.

    Returns:
        As `x`, in the widest of the dtypes; float16 and bfloat16 are computed in float32 and
        rounded at the end.

    Raises:
        ValueError: x has fewer than two axes; `groups` does not divide channels; scale or bias
            does not have the shape (channels,).
        TypeError: an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: `groupnorm` of LuxLib 1.15, features last. arXiv 1803.08494.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[1.0, 3.0, 10.0, 30.0]], jnp.float32)
        >>> groupnorm(x, None, None, 2, epsilon=0.0).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    if x.ndim < 2:
        raise ValueError(
            f"`groupnorm` expects `x` to be (batch, ..., channels), got shape {x.shape}."
        )
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise ValueError(
            f"`groupnorm` expects `groups` to divide the channels, the last axis of `x`, got "
            f"{groups} groups of {channels} channels."
        )
    wide, dtype = working("groupnorm", x, scale, bias)
    epsilon = epsilon_for(x.dtype, epsilon)
    z, _, _ = standardized(wide, _over_groups(groups), epsilon)
    return activation(scaled_and_shifted("groupnorm", z, scale, bias, x.shape[-1:], dtype))


def _over_groups(groups: int) -> Over:
    """Reductions of each sample and group, repeated for the channels of the group."""

    def over(reduce: Callable[..., Array], x: Array) -> Array:
        # Channel by channel first: a reduction of axes on both sides of the groups is far slower.
        by_channel = reduce(x, tuple(range(1, x.ndim - 1)), keepdims=True)
        grouped = by_channel.reshape(*by_channel.shape[:-1], groups, x.shape[-1] // groups)
        by_group = reduce(grouped, -1, keepdims=True)
        return jnp.broadcast_to(by_group, grouped.shape).reshape(by_channel.shape)

    return over
