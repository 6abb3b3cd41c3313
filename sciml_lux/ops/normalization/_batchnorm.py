"""Batch normalisation."""

from jaxtyping import Array, Float

from .._op import op
from ..activations import identity
from ._moments import Activation
from ._running_statistics import Statistics, tracked


@op("x", "scale", "bias", "running_mean", "running_var")
def batchnorm(
    x: Float[Array, "batch ... channels"],
    scale: Float[Array, " channels"] | None,
    bias: Float[Array, " channels"] | None,
    running_mean: Float[Array, " channels"] | None,
    running_var: Float[Array, " channels"] | None,
    training: bool,
    activation: Activation = identity,
    momentum: float = 0.1,
    epsilon: float | None = None,
) -> tuple[Float[Array, "batch ... channels"], Statistics]:
    """activation((x - μ) / √(σ² + epsilon) scale + bias), with μ and σ² of each channel.

    Training takes the mean and the biased variance over all axes but the last, and updates the
    running ones, running ← (1 - momentum) running + momentum statistic, with the unbiased variance
    m/(m-1) σ² of m values. Otherwise μ and σ² are the running ones; where these are None, they are
    always those of the data.

    Args:
        x: (batch, ..., channels), real floats.
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
        ValueError: x has fewer than two axes; another array does not have the shape (channels,);
            one of the running statistics is None; they are updated from one value or none.
        TypeError: `training` is not a bool; an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: `batchnorm` of LuxLib 1.15, features last; `training` has no default, since JAX does
        not say whether a gradient is taken. arXiv 1502.03167.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[1.0], [3.0]], jnp.float32)
        >>> zero, one = jnp.zeros(1, jnp.float32), jnp.ones(1, jnp.float32)
        >>> y, statistics = batchnorm(x, None, None, zero, one, True, momentum=0.5, epsilon=0.0)
        >>> y.tolist(), {name: s.tolist() for name, s in statistics.items()}
        ([[-1.0], [1.0]], {'running_mean': [1.0], 'running_var': [1.5]})
    """
    if x.ndim < 2:
        raise ValueError(
            f"`batchnorm` expects `x` to be (batch, ..., channels), got shape {x.shape}."
        )
    return tracked(
        "batchnorm",
        tuple(range(x.ndim - 1)),
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
