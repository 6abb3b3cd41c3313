"""Normal initialisers."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from ..precision._draws import draw_dtype, rounded
from ._fans import fans
from ._initializer import initializer


@initializer
def normal(
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> jax.Array:
    """N(mean, std²); of complex numbers, real and imaginary part have half the variance each."""
    draw = mean + std * jax.random.normal(key, shape, draw_dtype(dtype))
    return rounded(draw, dtype)


@initializer
def kaiming_normal(
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    gain: float = math.sqrt(2.0),
    in_axis: int = 1,
    out_axis: int = 0,
) -> jax.Array:
    """N(0, gain² / fan_in).

    Args:
        key: of the draw.
        shape: of the weight, (out, in, *kernel) unless the axes say otherwise.
        dtype: floating or complex.
        gain: factor of the standard deviation.
        in_axis: the axis of the inputs; all axes but these two count as a kernel.
        out_axis: the axis of the outputs.

    Raises:
        ValueError: axes that are not there, or one axis given twice.

    Source: `kaiming_normal` of WeightInitializers.jl 1.3; arXiv 1502.01852.
    """
    fan_in, _ = fans("kaiming_normal", shape, in_axis, out_axis)
    return normal(key, shape, dtype, std=gain / math.sqrt(max(fan_in, 1)))


@initializer
def glorot_normal(
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    gain: float = 1.0,
    in_axis: int = 1,
    out_axis: int = 0,
) -> jax.Array:
    """N(0, 2 gain² / (fan_in + fan_out)).

    Args:
        key: of the draw.
        shape: of the weight, (out, in, *kernel) unless the axes say otherwise.
        dtype: floating or complex.
        gain: factor of the standard deviation.
        in_axis: the axis of the inputs; all axes but these two count as a kernel.
        out_axis: the axis of the outputs.

    Raises:
        ValueError: axes that are not there, or one axis given twice.

    Source: `glorot_normal` of WeightInitializers.jl 1.3; Glorot and Bengio, AISTATS 2010.
    """
    both = sum(fans("glorot_normal", shape, in_axis, out_axis))
    return normal(key, shape, dtype, std=gain * math.sqrt(2.0 / max(both, 1)))


@initializer
def truncated_normal(
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    lower: float = -2.0,
    upper: float = 2.0,
) -> jax.Array:
    """N(mean, std²) given that the draw lies in [lower, upper], by the inverse of its distribution.

    Args:
        key: of the draw.
        shape: of the result.
        dtype: floating.
        mean: of the normal distribution before it is cut.
        std: its standard deviation, above 0.
        lower: least value, as it is: not in standard deviations.
        upper: greatest value.

    Raises:
        TypeError: a complex dtype.
        ValueError: `std` not above 0, or `lower` not below `upper`.

    Warns:
        UserWarning: the mean lies more than two standard deviations outside of [lower, upper],
            where the digits of the dtype do not tell the values of the distribution apart.

    Source: `truncated_normal` of WeightInitializers.jl 1.3, whose limits are `lo` and `hi`.
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"`truncated_normal` expects a floating dtype, got {np.dtype(dtype)}.")
    if not std > 0 or not lower < upper:
        raise ValueError(
            "`truncated_normal` expects `std` above 0 and `lower` below `upper`, got "
            f"std={std}, lower={lower} and upper={upper}."
        )
    if mean < lower - 2 * std or mean > upper + 2 * std:
        warnings.warn(
            f"`truncated_normal` has its mean, {mean}, more than two standard deviations outside "
            f"of [{lower}, {upper}]: the draws follow the distribution only roughly.",
            stacklevel=3,
        )
    limits = ((lower - mean) / std, (upper - mean) / std)
    draw = mean + std * jax.random.truncated_normal(key, *limits, shape, draw_dtype(dtype))
    # Scaling rounds, so a draw at a limit may step over it.
    return rounded(draw, dtype, lower, upper)
