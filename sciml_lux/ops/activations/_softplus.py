"""Logarithms of sums of exponentials."""

import math

import jax.numpy as jnp
from jaxtyping import Array

from ._exact import logistic, tanh
from ._piecewise_linear import relu
from ._real_numbers import of_real_numbers
from ._with_derivative import with_derivative


@of_real_numbers
def softplus(x: Array) -> Array:
    """log(1 + eˣ).

    Example:
        >>> import jax.numpy as jnp
        >>> round(softplus(jnp.float32(1.0)).item(), 4)
        1.3133
    """
    return _softplus(x)


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
    return _logcosh(x)


@with_derivative(lambda x, _: logistic(x))
def _softplus(x: Array) -> Array:
    return relu(x) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@with_derivative(lambda x, _: tanh(x))
def _logcosh(x: Array) -> Array:
    size = jnp.abs(x)
    near = jnp.minimum(size, 1)
    square, rest = near * near, jnp.ones_like(x)
    for power in range(20, 2, -2):  # (cosh(x) - 1) / (x²/2) by its series.
        rest = 1 + rest * square / (power * (power - 1))
    far = size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2.0)
    return jnp.where(size < 1, jnp.log1p(square / 2 * rest), far)
