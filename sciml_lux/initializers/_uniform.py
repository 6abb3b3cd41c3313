"""Uniform and constant initialisers."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ..precision.internal import draw_dtype, rounded
from ._fans import fans
from ._initializer import initializer


def _symmetric(key: Key, shape: tuple[int, ...], dtype: np.dtype, bound: float) -> jax.Array:
    if jnp.issubdtype(dtype, jnp.complexfloating):
        # The real and the imaginary part share the variance of the real case.
        part = jnp.finfo(dtype).dtype
        real, imaginary = jax.random.split(key)
        bound = bound / math.sqrt(2.0)
        return jax.lax.complex(
            jax.random.uniform(real, shape, part, -bound, bound),
            jax.random.uniform(imaginary, shape, part, -bound, bound),
        )
    draw = jax.random.uniform(key, shape, draw_dtype(dtype), -bound, bound)
    return rounded(draw, dtype, -bound, bound)


@initializer
def uniform(key: Key, shape: tuple[int, ...], dtype: np.dtype, *, bound: float = 1.0) -> jax.Array:
    """U(-bound, bound).

    Args:
        key: of the draw.
        shape: of the result.
        dtype: floating or complex.
        bound: of the absolute values.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import uniform
        >>> x = uniform(jax.random.key(0), (1000,), jnp.float32, bound=0.5)
        >>> f"{x.min():.1f}, {x.max():.1f}"
        '-0.5, 0.5'
    """
    return _symmetric(key, shape, dtype, bound)


@initializer
def kaiming_uniform(
    key: Key,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    gain: float = math.sqrt(2.0),
    in_axis: int = 1,
    out_axis: int = 0,
) -> jax.Array:
    """U(±gain √(3 / fan_in)).

    Args:
        key: of the draw.
        shape: of the weight, (out, in, *kernel) unless the axes say otherwise.
        dtype: floating or complex.
        gain: factor of the bound.
        in_axis: the axis of the inputs; all axes but these two count as a kernel.
        out_axis: the axis of the outputs.

    Raises:
        ValueError: an axis that `shape` does not have, or the same axis twice.

    Source: `kaiming_uniform` of WeightInitializers.jl 1.3; arXiv 1502.01852.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import kaiming_uniform
        >>> weight = kaiming_uniform(jax.random.key(0), (400, 3), jnp.float32, gain=1.0)
        >>> f"{abs(weight).max():.1f}"  # √(3/3)
        '1.0'
    """
    fan_in, _ = fans("kaiming_uniform", shape, in_axis, out_axis)
    return _symmetric(key, shape, dtype, gain * math.sqrt(3.0 / max(fan_in, 1)))


@initializer
def glorot_uniform(
    key: Key,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    gain: float = 1.0,
    in_axis: int = 1,
    out_axis: int = 0,
) -> jax.Array:
    """U(±gain √(6 / (fan_in + fan_out))).

    Args:
        key: of the draw.
        shape: of the weight, (out, in, *kernel) unless the axes say otherwise.
        dtype: floating or complex.
        gain: factor of the bound.
        in_axis: the axis of the inputs; all axes but these two count as a kernel.
        out_axis: the axis of the outputs.

    Raises:
        ValueError: an axis that `shape` does not have, or the same axis twice.

    Source: `glorot_uniform` of WeightInitializers.jl 1.3; Glorot and Bengio, AISTATS 2010.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import glorot_uniform
        >>> weight = glorot_uniform(jax.random.key(0), (50, 100), jnp.float32)
        >>> f"{abs(weight).max():.1f}"  # √(6/150)
        '0.2'
    """
    both = sum(fans("glorot_uniform", shape, in_axis, out_axis))
    return _symmetric(key, shape, dtype, gain * math.sqrt(6.0 / max(both, 1)))


@initializer
def zeros(key: Key, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    """All zeros; the key is not used.

    Args:
        key: not used.
        shape: of the result.
        dtype: of the result.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import zeros
        >>> zeros(jax.random.key(0), (3,), jnp.float32).tolist()
        [0.0, 0.0, 0.0]
    """
    return jnp.zeros(shape, dtype)


@initializer
def ones(key: Key, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    """All ones; the key is not used.

    Args:
        key: not used.
        shape: of the result.
        dtype: of the result.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import ones
        >>> ones(jax.random.key(0), (3,), jnp.float32).tolist()
        [1.0, 1.0, 1.0]
    """
    return jnp.ones(shape, dtype)
