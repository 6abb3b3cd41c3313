"""Logarithms of sums of exponentials."""

import math

import jax.numpy as jnp
from jaxtyping import Array

from ._magnitude import magnitude
from ._piecewise_linear import relu
from ._real_numbers import of_real_numbers


@of_real_numbers
def softplus(x: Array) -> Array:
    """log(1 + eˣ).

    Example:
        >>> import jax.numpy as jnp
        >>> round(softplus(jnp.float32(1.0)).item(), 4)
        1.3133
    """
    # At 0 both terms have the derivatives of the left side, so that those of the sum are right.
    return relu(x) + jnp.log1p(jnp.exp(-magnitude(x)))


@of_real_numbers
def logsigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -softplus(-x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(logsigmoid(jnp.float32(-1.0)).item(), 4)
        -1.3133
    """
    return -softplus(-x)


@of_real_numbers
def logcosh(x: Array) -> Array:
    """log(cosh(x)), without overflow and with all digits near 0.

    Example:
        >>> import jax.numpy as jnp
        >>> round(logcosh(jnp.float32(1.0)).item(), 4)
        0.4338
    """
    size = magnitude(x)
    half = jnp.sinh(jnp.where(size < 1, x, jnp.zeros_like(x)) / 2)
    far = size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2.0)
    return jnp.where(size < 1, jnp.log1p(2 * half * half), far)
