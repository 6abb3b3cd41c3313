"""InstanceNorm: normalisation of each channel of each sample over the spatial axes."""

import dataclasses

from jaxtyping import Array, Float

from ...core import Parameters, States
from ...core.internal import subject
from ...ops import instancenorm
from .._array_check import check_array
from ._normalization import TrackedNormalization


class InstanceNorm(TrackedNormalization):
    """y = activation((x - μ) / √(σ² + epsilon) scale + bias), μ and σ² of each sample and channel.

    μ and σ² are the mean and the biased variance over the axes between the first and the last. With
    `track_stats`, running statistics follow their means over the batch in training mode, and
    replace them in test mode.

    Args:
        dims: number of channels, the size of the last axis.
        activation: elementwise function.
        affine: whether there are scale and bias.
        track_stats: whether running statistics are part of the states.
        epsilon: added to the variance.
        momentum: the weight of the new statistic.
        init_scale: initialiser of the scale; by default 1.
        init_bias: initialiser of the bias; by default 0.

    Inputs: x (batch, *spatial, dims) with at least one spatial axis, real floats.

    Returns: y of the shape of x, in the widest of the dtypes of x and the parameters; float16 and
        bfloat16 are computed in float32 and rounded at the end.

    Parameters: with `affine`, scale (dims,), bias (dims,).

    States: with `track_stats`, running_mean (dims,), running_var (dims,), which keep their dtype;
        training.

    Raises:
        ValueError: x has another shape, or only one spatial position while statistics are tracked
            in training mode; an option is out of range.
        TypeError: an option of the wrong type; x is not an array of real floats.

    Source: `InstanceNorm` of Lux 1.31, features last. Without `track_stats` the states have no
        entries for the statistics, where Lux has `nothing`. arXiv 1607.08022.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.InstanceNorm(3, affine=True)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 8, 8, 3), jnp.float32), ps, st)[0].shape
        (5, 8, 8, 3)
    """

    _: dataclasses.KW_ONLY
    affine: bool = False
    track_stats: bool = False

    def __call__(
        self, x: Float[Array, "batch *spatial dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "batch *spatial dims"], States]:
        """The output, and `st` with updated running statistics in training mode."""
        check_array(self, x)
        if x.ndim < 3 or x.shape[-1] != self.dims:
            raise ValueError(
                f"{subject(self)} expects `x` to be (batch, *spatial, {self.dims}) (`dims`) with "
                f"one spatial axis or more, got shape {x.shape}."
            )
        y, statistics = instancenorm(
            x,
            *self.scale_and_bias(ps),
            *self.running_mean_and_var(st),
            bool(st.training),
            self.activation,
            self.momentum,
            self.epsilon,
        )
        return y, (st | statistics if self.track_stats else st)
