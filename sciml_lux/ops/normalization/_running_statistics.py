"""Normalisation with running statistics: what batch and instance normalisation share."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import promote
from ...precision.internal import python_numbers
from ._moments import (
    Activation,
    Axes,
    epsilon_for,
    over_axes,
    rsqrt_of_finite,
    scaled_and_shifted,
    standardized,
    working,
)

Statistics = dict[str, Float[Array, " channels"] | None]


def tracked(
    op: str,
    axes: Axes,
    x: Float[Array, "batch ... channels"],
    scale: Float[Array, " channels"] | None,
    bias: Float[Array, " channels"] | None,
    running_mean: Float[Array, " channels"] | None,
    running_var: Float[Array, " channels"] | None,
    training: bool,
    activation: Activation,
    momentum: float,
    epsilon: float | None,
) -> tuple[Float[Array, "batch ... channels"], Statistics]:
    """Output and running statistics of the op `op`, whose moments are taken over `axes`."""
    if not isinstance(training, bool):
        raise TypeError(
            f"`{op}` expects `training` to be True or False, got {training!r}. Say which: it "
            "cannot be seen from whether a gradient is taken."
        )
    shapes = [getattr(running, "shape", None) for running in (running_mean, running_var)]
    if shapes not in ([x.shape[-1:]] * 2, [None] * 2):
        raise ValueError(
            f"`{op}` expects `running_mean` and `running_var` of shape {x.shape[-1:]}, or None for "
            f"both, got {shapes}."
        )
    statistics = [s for s in (running_mean, running_var) if s is not None]
    wide, dtype = working(op, x, scale, bias, statistics=statistics)
    epsilon, momentum = epsilon_for(x.dtype, epsilon), python_numbers(momentum)
    if not training and running_mean is not None and running_var is not None:
        z = _standardized_by(wide, running_mean, running_var, epsilon)
    else:
        z, mean, variance = standardized(wide, over_axes(axes), epsilon)
        if running_mean is not None and running_var is not None:
            count = math.prod(x.shape[axis] for axis in axes)
            if count < 2 or x.shape[0] == 0:
                raise ValueError(
                    f"`{op}` expects two or more values for each variance, got `x` of shape "
                    f"{x.shape}. Pass more, or `training=False`."
                )
            running_mean = _updated(running_mean, mean, momentum)
            running_var = _updated(running_var, variance * (count / (count - 1)), momentum)
    y = activation(scaled_and_shifted(op, z, scale, bias, x.shape[-1:], dtype))
    return y, {"running_mean": running_mean, "running_var": running_var}


def _standardized_by(x: Array, mean: Array, variance: Array, epsilon: float) -> Array:
    x, mean, variance = promote(x, jax.lax.stop_gradient(mean), jax.lax.stop_gradient(variance))
    channels = (x.ndim - 1,)
    mean = jax.lax.broadcast_in_dim(mean, x.shape, channels)
    factor = jax.lax.broadcast_in_dim(rsqrt_of_finite(variance + epsilon), x.shape, channels)
    return (x - mean) * factor


def _updated(running: Array, statistic: Array, momentum: float) -> Array:
    """(1 - momentum) running + momentum statistic, averaged over the batch, without gradient."""
    statistic = jnp.mean(statistic, tuple(range(statistic.ndim - 1)))
    old, new = promote(jax.lax.stop_gradient(running), jax.lax.stop_gradient(statistic))
    # The state keeps its dtype, however wide the data are.
    return ((1.0 - momentum) * old + momentum * new).astype(running.dtype)
