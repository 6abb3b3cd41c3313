"""Activations between two bounds, and what tanh leaves of x."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._op import op
from . import _exact
from ._magnitude import magnitude
from ._real_numbers import is_real_float, number_as_array, of_real_numbers, require_float
from ._with_derivative import with_derivative


@op("x")
def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), with derivatives that keep their digits where it is almost 1.

    Example:
        >>> import jax.numpy as jnp
        >>> round(sigmoid(jnp.float32(1.0)).item(), 4)
        0.7311
    """
    require_float("sigmoid", x)
    x = number_as_array(x)
    return _exact.logistic(x) if is_real_float(x) else jax.lax.logistic(x)


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
    """Hyperbolic tangent; its derivative sech² keeps its digits where tanh is almost 1.

    Example:
        >>> import jax.numpy as jnp
        >>> round(tanh(jnp.float32(1.0)).item(), 4)
        0.7616
    """
    x = number_as_array(x)
    return _exact.tanh(x) if is_real_float(x) else jnp.tanh(x)


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
    return _softsign(x)


@op("x")
def tanhshrink(x: Array) -> Array:
    """x - tanh(x), with all digits near 0.

    Example:
        >>> import jax.numpy as jnp
        >>> round(tanhshrink(jnp.float32(1.0)).item(), 4)
        0.2384
    """
    return _tanhshrink(x) if is_real_float(x) else _rest_of_tanh(x)


@with_derivative(lambda x, _: jnp.square(1 / (1 + magnitude(x))))
def _softsign(x: Array) -> Array:
    inverse = 1 / (1 + jnp.abs(x))
    # Infinity times its inverse would be NaN.
    return jnp.where(jnp.abs(x) < 1, x * inverse, jnp.sign(x) * (1 - inverse))


def _rest_of_tanh(x: Array) -> Array:
    is_near = jnp.abs(x) < 2
    near = jnp.where(is_near, x, jnp.zeros_like(x))
    # tanh(x) = x / (1 + rest) by Lambert's fraction, of positive terms only.
    square, rest = near * near, jnp.zeros_like(x)
    for odd in range(29, 1, -2):
        rest = square / (odd + rest)
    return jnp.where(is_near, near * (rest / (1 + rest)), x - jnp.tanh(x))


_tanhshrink = with_derivative(lambda x, _: jnp.square(_exact.tanh_to_the_end(x)))(_rest_of_tanh)
