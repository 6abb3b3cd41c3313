"""Uniform and constant initialisers."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..precision._draws import draw_dtype, rounded
from ._fans import fans
from ._initializer import initializer


def _symmetric(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, bound: float) -> jax.Array:
    if jnp.issubdtype(dtype, jnp.complexfloating):
        # Real and imaginary part share the variance of the real case.
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
def uniform(
    key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, *, bound: float = 1.0
) -> jax.Array:
    """U(-bound, bound)."""
    return _symmetric(key, shape, dtype, bound)


@initializer
def kaiming_uniform(
    key: jax.Array,
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
        ValueError: axes that are not there, or one axis given twice.

    Source: `kaiming_uniform` of WeightInitializers.jl 1.3; arXiv 1502.01852.
    """
    fan_in, _ = fans("kaiming_uniform", shape, in_axis, out_axis)
    return _symmetric(key, shape, dtype, gain * math.sqrt(3.0 / max(fan_in, 1)))


@initializer
def glorot_uniform(
    key: jax.Array,
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
        ValueError: axes that are not there, or one axis given twice.

    Source: `glorot_uniform` of WeightInitializers.jl 1.3; Glorot and Bengio, AISTATS 2010.
    """
    both = sum(fans("glorot_uniform", shape, in_axis, out_axis))
    return _symmetric(key, shape, dtype, gain * math.sqrt(6.0 / max(both, 1)))


@initializer
def zeros(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    """All zero; the key is not used."""
    return jnp.zeros(shape, dtype)


@initializer
def ones(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    """All one; the key is not used."""
    return jnp.ones(shape, dtype)
