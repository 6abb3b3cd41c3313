"""Activations that are x times a gate."""

import math

import jax.numpy as jnp
from jaxtyping import Array

from ._exact import logistic, tanh
from ._magnitude import magnitude
from ._piecewise_linear import hardsigmoid
from ._real_numbers import of_real_floats, of_real_numbers
from ._with_derivative import Elementwise, with_derivative


@of_real_floats
def swish(x: Array) -> Array:
    """x sigmoid(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(swish(jnp.float32(1.0)).item(), 4)
        0.7311
    """
    return gated(x, logistic, exhausted(x))


@of_real_numbers
def hardswish(x: Array) -> Array:
    """x hardsigmoid(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(hardswish(jnp.float32(1.0)).item(), 4)
        0.6667
    """
    return gated(x, hardsigmoid, 3.0)


@of_real_floats
def mish(x: Array) -> Array:
    """x tanh(softplus(x)).

    Example:
        >>> import jax.numpy as jnp
        >>> round(mish(jnp.float32(1.0)).item(), 4)
        0.8651
    """
    return gated(x, _tanh_of_softplus, exhausted(x))


@of_real_floats
def lisht(x: Array) -> Array:
    """x tanh(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(lisht(jnp.float32(-1.0)).item(), 4)
        0.7616
    """
    size, bound = magnitude(x), exhausted(x)
    inside = jnp.where(size > bound, jnp.zeros_like(x), x)
    return jnp.where(size > bound, size, inside * tanh(inside))


def gated(x: Array, gate: Elementwise, bound: float) -> Array:
    """x gate(x), for a gate that is 0 from -bound down and 1 from bound up."""
    # Clamped by selection: at a bound, the derivative is that of the inside.
    inside = jnp.where(x < -bound, jnp.full_like(x, -bound), x)
    inside = jnp.where(x > bound, jnp.full_like(x, bound), inside)
    return jnp.where(x > bound, x, inside * gate(inside))


def exhausted(x: Array) -> float:
    """Where e⁻ˣ, and its product with a power of x, is 0 in the dtype of x, with some room."""
    limits = jnp.finfo(x.dtype)
    return 5 - 1.05 * (math.log(float(limits.tiny)) - limits.nmant * math.log(2.0))


def _tanh_of_softplus_slope(x: Array) -> Array:
    """4 w (1 + w) / (w² + 2w + 2)² with w = eˣ; on the right multiplied through by e⁻⁴ˣ."""
    decay = jnp.exp(-magnitude(x))
    right = x > 0
    upper = jnp.where(right, decay, jnp.ones_like(x)) * (decay * (1 + decay))
    lower = jnp.where(right, 1 + 2 * decay * (1 + decay), 2 + decay * (2 + decay))
    return 4 * upper / (lower * lower)


@with_derivative(lambda x, _: _tanh_of_softplus_slope(x))
def _tanh_of_softplus(x: Array) -> Array:
    """w (w + 2) / (w (w + 2) + 2) with w = eˣ; on the right multiplied through by e⁻²ˣ."""
    decay = jnp.exp(-magnitude(x))
    upper = jnp.where(x > 0, 1 + 2 * decay, decay * (2 + decay))
    rest = jnp.where(x > 0, 2 * decay * decay, jnp.full_like(x, 2))
    return upper / (upper + rest)
