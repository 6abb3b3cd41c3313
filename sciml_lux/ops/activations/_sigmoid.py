"""Activations between two bounds, and what tanh leaves of x."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._op import op
from ._magnitude import magnitude
from ._real_numbers import number_as_array, of_real_numbers, require_float


@op("x")
def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ).

    Example:
        >>> import jax.numpy as jnp
        >>> round(sigmoid(jnp.float32(1.0)).item(), 4)
        0.7311
    """
    require_float("sigmoid", x)
    return jax.lax.logistic(number_as_array(x))


@op("x")
def sigmoid_fast(x: Array) -> Array:
    """`sigmoid` itself: in NNlib this name is an approximation, here nothing is.

    Example:
        >>> import jax.numpy as jnp
        >>> round(sigmoid_fast(jnp.float32(1.0)).item(), 4)
        0.7311
    """
    return sigmoid(x)


@op("x")
def tanh(x: Array) -> Array:
    """Hyperbolic tangent.

    Example:
        >>> import jax.numpy as jnp
        >>> round(tanh(jnp.float32(1.0)).item(), 4)
        0.7616
    """
    return jnp.tanh(x)


@op("x")
def tanh_fast(x: Array) -> Array:
    """`tanh` itself: in NNlib this name is an approximation, here nothing is.

    Example:
        >>> import jax.numpy as jnp
        >>> round(tanh_fast(jnp.float32(1.0)).item(), 4)
        0.7616
    """
    return tanh(x)


@of_real_numbers
def softsign(x: Array) -> Array:
    """x / (1 + |x|).

    Example:
        >>> import jax.numpy as jnp
        >>> softsign(jnp.asarray([-1.0, 0.0, 3.0], jnp.float32)).tolist()
        [-0.5, 0.0, 0.75]
    """
    size = magnitude(x)
    inverse = 1 / (1 + size)
    # Far out as 1 - 1/(1 + |x|), whose derivative does not cancel.
    near = jnp.where(size < 1, x, jnp.zeros_like(x)) * inverse
    return jnp.where(size < 1, near, jnp.where(x > 0, 1 - inverse, inverse - 1))


@op("x")
def tanhshrink(x: Array) -> Array:
    """x - tanh(x), with all digits near 0.

    Example:
        >>> import jax.numpy as jnp
        >>> round(tanhshrink(jnp.float32(1.0)).item(), 4)
        0.2384
    """
    is_near = jnp.abs(x) < 2
    near = jnp.where(is_near, x, jnp.zeros_like(x))
    # tanh(x) = x / (1 + rest) by Lambert's fraction, of positive terms only.
    square, rest = near * near, jnp.zeros_like(x)
    for odd in range(29, 1, -2):
        rest = square / (odd + rest)
    return jnp.where(is_near, near * (rest / (1 + rest)), x - jnp.tanh(x))
