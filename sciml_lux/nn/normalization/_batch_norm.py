"""BatchNorm: normalisation of each channel over the batch."""

import math

from jaxtyping import Array, Float

from ...core import Parameters, States
from ...core.internal import subject
from ...ops import batchnorm
from .._array_check import check_array
from ._normalization import TrackedNormalization


class BatchNorm(TrackedNormalization):
    """y = activation((x - μ) / √(σ² + epsilon) scale + bias), with μ and σ² of each channel.

    In training mode μ and σ² are the mean and the biased variance over all axes but the last, and
    the running statistics are updated, running ← (1 - momentum) running + momentum statistic, where
    the statistic is the mean or the unbiased variance. In test mode μ and σ² are the running
    statistics, or still those of the data if `track_stats` is False.

    Args:
        dims: number of channels, the size of the last axis.
        activation: elementwise function.
        affine: whether there are scale and bias.
        track_stats: whether running statistics are part of the states.
        epsilon: added to the variance.
        momentum: the weight of the new statistic.
        init_scale: initialiser of the scale; by default 1.
        init_bias: initialiser of the bias; by default 0.

    Inputs: x (batch, ..., dims), real floats; in training mode with at least two values of each
        channel.

    Returns: y of the shape of x, in the widest of the dtypes of x and the parameters; float16 and
        bfloat16 are computed in float32 and rounded at the end.

    Parameters: scale (dims,), bias (dims,).

    States: running_mean (dims,), running_var (dims,), which keep their dtype; training.

    Raises:
        ValueError: x has another shape, or only one value of each channel in training mode; an
            option is out of range.
        TypeError: an option of the wrong type; x is not an array of real floats.

    Source: `BatchNorm` of Lux 1.31, features last. Without `track_stats` the states have no
        entries for the statistics, where Lux has `nothing`. arXiv 1502.03167.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.BatchNorm(3, nn.relu)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.ones((5, 3), jnp.float32), ps, st)
        >>> y.shape, st.running_mean.tolist()
        ((5, 3), [0.1..., 0.1..., 0.1...])
    """

    def __call__(
        self, x: Float[Array, "batch ... dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "batch ... dims"], States]:
        """The output, and `st` with updated running statistics in training mode."""
        check_array(self, x)
        if x.ndim < 2 or x.shape[-1] != self.dims:
            raise ValueError(
                f"{subject(self)} expects `x` to be (batch, ..., {self.dims}) (`dims`), got shape "
                f"{x.shape}."
            )
        if st.training and math.prod(x.shape[:-1]) < 2:
            raise ValueError(
                f"{subject(self)} expects two values of each channel or more in training mode, got "
                f"shape {x.shape}. One value cannot be normalised: pass a larger batch, or "
                "testmode(st)."
            )
        y, statistics = batchnorm(
            x,
            *self.scale_and_bias(ps),
            *self.running_mean_and_var(st),
            bool(st.training),
            self.activation,
            self.momentum,
            self.epsilon,
        )
        return y, (st | statistics if self.track_stats else st)
