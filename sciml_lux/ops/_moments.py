"""What the normalisations share: moments before, scale, bias and activation after."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..precision import accumulated, promote, python_numbers, require_x64_for, result_dtype

Axes = tuple[int, ...]
Activation = Callable[[Array], Array]


def epsilon_for(dtype: np.dtype, epsilon: float | None) -> float:
    """`epsilon`, or eps^(5/7) with the distance eps of 1 to the next number of `dtype`."""
    return float(jnp.finfo(dtype).eps) ** (5 / 7) if epsilon is None else python_numbers(epsilon)


def working(
    op: str, x: Array, *parameters: Array | None, statistics: Sequence[Array] = ()
) -> tuple[Array, np.dtype]:
    """`x` in the dtype to compute in, and the dtype to come back to.

    The running statistics are checked with the others, but leave both dtypes as they are.

    Raises:
        TypeError: an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.
    """
    given = [x, *(p for p in parameters if p is not None)]
    for array in (*given, *statistics):
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(
                f"`{op}` expects real floating `x` and parameters, got {array.dtype.name}. Convert "
                "it, for example x.astype(jnp.float32)."
            )
    require_x64_for([*given, *statistics], f"an operand of `{op}`")
    result_dtype(*given, *statistics)  # For its error.
    dtype = result_dtype(*given)
    return accumulated(jnp.asarray(x).astype(dtype)), dtype


def standardized(x: Array, axes: Axes, epsilon: float) -> tuple[Array, Array, Array]:
    """(x - mean) / √(variance + epsilon) over `axes`, the mean and the biased variance.

    The variance is the mean square of what the mean leaves, so that a large mean takes no digits.
    """
    mean = jnp.mean(x, axes, keepdims=True)
    centered = x - mean
    variance = jnp.mean(centered * centered, axes, keepdims=True)
    return centered * jax.lax.rsqrt(variance + epsilon), mean, variance


def scaled_and_shifted(
    op: str,
    z: Array,
    scale: Float[Array, "*features"] | None,
    bias: Float[Array, "*features"] | None,
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> Array:
    """z scale + bias in `dtype`, with scale and bias along the last axes.

    Raises:
        ValueError: scale or bias has another shape than `shape`.
    """
    for name, parameter in (("scale", scale), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ValueError(
                f"`{op}` expects `{name}` of shape {shape}, got {parameter.shape}. Pass one "
                "number for each feature, or None."
            )
    if scale is not None:
        z, scale = promote(z, scale)
        z = z * _along_last(scale, z.ndim)
    if bias is not None:
        z, bias = promote(z, bias)
        z = z + _along_last(bias, z.ndim)
    return z.astype(dtype)


def _along_last(parameter: Array, ndim: int) -> Array:
    return jnp.expand_dims(parameter, tuple(range(ndim - parameter.ndim)))
