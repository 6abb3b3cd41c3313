"""Instance normalisation."""

from jaxtyping import Array, Float

from .._op import op
from ..activations import identity
from ._moments import Activation
from ._running_statistics import Statistics, tracked


@op("x", "scale", "bias", "running_mean", "running_var")
def instancenorm(
    x: Float[Array, "batch *spatial channels"],
    scale: Float[Array, " channels"] | None,
    bias: Float[Array, " channels"] | None,
    running_mean: Float[Array, " channels"] | None,
    running_var: Float[Array, " channels"] | None,
    training: bool,
    activation: Activation = identity,
    momentum: float = 0.1,
    epsilon: float | None = None,
) -> tuple[Float[Array, "batch *spatial channels"], Statistics]:
    """activation((x - μ) / √(σ² + epsilon) scale + bias), μ and σ² of each sample and channel.

    As `batchnorm`, with the moments over the axes between the first and the last. The running
    statistics are updated with the means over the batch, the variance times m/(m-1) for the m
    places of a sample. Where they are None, the moments are always those of the data.

    Args:
        x: (batch, *spatial, channels), real floats.
        scale: (channels,), or None.
        bias: (channels,), or None.
        running_mean: (channels,), or None.
        running_var: (channels,), or None.
        training: whether the moments are those of the data.
        activation: elementwise function.
        momentum: the weight of the new statistic.
        epsilon: added to the variance; by default eps^(5/7) of the dtype of x.

    Returns:
        y as `x`, in the widest of the dtypes of x, scale and bias; float16 and bfloat16 are
        computed in float32 and rounded at the end. And the dict of `running_mean` and
        `running_var`, which keep their dtype and carry no gradient.

    Raises:
        ValueError: x has fewer than three axes; another array does not have the shape (channels,);
            one of the running statistics is None; they are updated from one value or none.
        TypeError: `training` is not a bool; an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: the long form of `instancenorm` of LuxLib 1.15, features last; the short form, without
        running statistics, is None for both. arXiv 1607.08022.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[[1.0], [3.0]], [[10.0], [30.0]]], jnp.float32)
        >>> instancenorm(x, None, None, None, None, True, epsilon=0.0)[0].tolist()
        [[[-1.0], [1.0]], [[-1.0], [1.0]]]
    """
    if x.ndim < 3:
        raise ValueError(
            "`instancenorm` expects `x` to be (batch, *spatial, channels) with one spatial axis or "
            f"more, got shape {x.shape}."
        )
    return tracked(
        "instancenorm",
        tuple(range(1, x.ndim - 1)),
        x,
        scale,
        bias,
        running_mean,
        running_var,
        training,
        activation,
        momentum,
        epsilon,
    )
