"""Normal initialisers."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ..precision.internal import draw_dtype, rounded
from ._fans import fans
from ._initializer import initializer


@initializer
def normal(
    key: Key,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> jax.Array:
    """Draws from N(mean, std²); the parts of a complex number have half the variance each.

    Args:
        key: of the draw.
        shape: of the result.
        dtype: floating or complex.
        mean: of the distribution.
        std: its standard deviation.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import normal
        >>> x = normal(jax.random.key(0), (10_000,), jnp.float32, mean=3.0, std=0.5)
        >>> f"{x.mean():.1f}, {x.std():.1f}"
        '3.0, 0.5'
    """
    draw = mean + std * jax.random.normal(key, shape, draw_dtype(dtype))
    return rounded(draw, dtype)


@initializer
def kaiming_normal(
    key: Key,
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
        ValueError: an axis that `shape` does not have, or the same axis twice.

    Source: `kaiming_normal` of WeightInitializers.jl 1.3; arXiv 1502.01852.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import kaiming_normal
        >>> weight = kaiming_normal(jax.random.key(0), (200, 50), jnp.float32)  # √(2/50) = 0.2
        >>> f"{weight.std():.1f}"
        '0.2'
    """
    fan_in, _ = fans("kaiming_normal", shape, in_axis, out_axis)
    return normal(key, shape, dtype, std=gain / math.sqrt(max(fan_in, 1)))


@initializer
def glorot_normal(
    key: Key,
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
        ValueError: an axis that `shape` does not have, or the same axis twice.

    Source: `glorot_normal` of WeightInitializers.jl 1.3; Glorot and Bengio, AISTATS 2010.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import glorot_normal
        >>> weight = glorot_normal(jax.random.key(0), (150, 50), jnp.float32)  # √(2/200) = 0.1
        >>> f"{weight.std():.1f}"
        '0.1'
    """
    both = sum(fans("glorot_normal", shape, in_axis, out_axis))
    return normal(key, shape, dtype, std=gain * math.sqrt(2.0 / max(both, 1)))


@initializer
def truncated_normal(
    key: Key,
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
        mean: of the normal distribution before truncation.
        std: its standard deviation, above 0.
        lower: the smallest value, itself and not a number of standard deviations.
        upper: the largest value.

    Raises:
        TypeError: a complex dtype.
        ValueError: `std` not above 0, or `lower` not below `upper`.

    Warns:
        UserWarning: the mean lies more than two standard deviations outside of [lower, upper],
            where the dtype has too few digits to resolve the distribution.

    Source: `truncated_normal` of WeightInitializers.jl 1.3, whose limits are `lo` and `hi`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import truncated_normal
        >>> x = truncated_normal(jax.random.key(0), (1000,), jnp.float32, lower=0.0, upper=1.0)
        >>> bool((x >= 0.0).all()), bool((x <= 1.0).all())
        (True, True)
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
    # Scaling rounds, which may take a draw at a limit beyond it.
    return rounded(draw, dtype, lower, upper)
