"""What the normalisations share: moments before, scale, bias and activation after."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...precision import accumulated, promote, result_dtype
from ...precision.internal import python_numbers
from ._power_of_two import inverse_power_of_two

Axes = tuple[int, ...]
Activation = Callable[[Array], Array]
# Applies a reduction such as `jnp.mean` to sets of the entries of an array.
Over = Callable[[Callable[..., Array], Array], Array]

# Factors by which squares neither overflow nor vanish from 1e-30 to 1e24 in float32, and from
# 1e-205 to 1e253 in float64; where they overflow nevertheless, the normalised numbers are NaN.
_UNITS = {"float32": 2.0**-26, "float64": 2.0**-340}


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
    result_dtype(*given, *statistics)  # Raises where they do not mix.
    dtype = result_dtype(*given)
    return accumulated(jnp.asarray(x).astype(dtype)), dtype


def over_axes(axes: Axes) -> Over:
    """Reductions over `axes`, which are kept with size 1."""
    return lambda reduce, x: reduce(x, axes, keepdims=True)


def standardized(x: Array, over: Over, epsilon: float) -> tuple[Array, Array, Array]:
    """(x - mean) / √(variance + epsilon), and mean and biased variance, without derivatives.

    Once the mean is subtracted, rounding leaves another one, which is as large as the spread where
    the mean is large. It is subtracted too, and the variance is the mean square of the rest.
    """
    # Subtracting the same from all changes nothing, so the derivatives need not follow it.
    about = jax.lax.stop_gradient(over(jnp.mean, x))
    unit = unit_for(x, about, over, epsilon)
    near = x * unit - about * unit
    rest = over(jnp.mean, near)
    centered = near - rest
    inverse, square = inverse_root(over, centered, shift(epsilon, unit, x.dtype))
    mean, variance = about + rest / unit, square / unit / unit
    return centered * inverse, jax.lax.stop_gradient(mean), variance


def unit_for(x: Array, about: Array | float, over: Over, epsilon: float) -> Array | float:
    """A power of two for x before it is squared, so that large numbers do not overflow.

    One for all numbers costs nothing: small ones that vanish by it do not count beside epsilon.
    Where epsilon is too small for that, the power suits the largest of x - about.
    """
    unit, limits = _UNITS[x.dtype.name], jnp.finfo(x.dtype)
    if epsilon * unit * unit * float(limits.eps) > float(limits.tiny):
        return unit
    largest = functools.partial(jnp.max, initial=0.0)  # For an axis without entries.
    return inverse_power_of_two(over(largest, jnp.abs(x - about)))


def shift(epsilon: float, unit: Array | float, dtype: np.dtype) -> Array:
    """`epsilon` as it is added to squares of numbers in the unit."""
    return jnp.asarray(epsilon * unit * unit, dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def inverse_root(over: Over, x: Array, shift: Array) -> tuple[Array, Array]:
    """1 / √(mean(x²) + shift), and 1 where both are 0; and mean(x²), without derivative."""
    square = over(jnp.mean, x * x)
    total = square + shift
    return rsqrt_of_finite(jnp.where(total == 0, jnp.ones_like(total), total)), square


@inverse_root.defjvp
def _inverse_root_jvp(over: Over, primals: Any, tangents: Any) -> Any:
    # By the normalised x: the third power that JAX takes is soon out of range.
    inverse, square = inverse_root(over, *primals)
    along = over(jnp.mean, (primals[0] * inverse) * (tangents[0] * inverse))
    return (inverse, square), (-inverse * along, jnp.zeros_like(square))


def rsqrt_of_finite(x: Array) -> Array:
    """1 / √x, and NaN for infinity, so that a variance out of range does not give zeros."""
    return jnp.where(x == jnp.inf, jnp.nan, jax.lax.rsqrt(x))


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
