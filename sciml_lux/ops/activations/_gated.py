"""Activations that are x times a gate."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._magnitude import magnitude
from ._piecewise_linear import hardsigmoid
from ._real_numbers import of_real_floats, of_real_numbers
from ._sigmoid import sigmoid
from ._softplus import softplus


@of_real_floats
def swish(x: Array) -> Array:
    """x sigmoid(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(swish(jnp.float32(1.0)).item(), 4)
        0.7311
    """
    return _gated(x, sigmoid, _exhausted(x))


@of_real_numbers
def hardswish(x: Array) -> Array:
    """x hardsigmoid(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(hardswish(jnp.float32(1.0)).item(), 4)
        0.6667
    """
    return _gated(x, hardsigmoid, 3.0)


@of_real_floats
def mish(x: Array) -> Array:
    """x tanh(softplus(x)).

    Example:
        >>> import jax.numpy as jnp
        >>> round(mish(jnp.float32(1.0)).item(), 4)
        0.8651
    """
    return _gated(x, lambda x: jnp.tanh(softplus(x)), _exhausted(x))


@of_real_floats
def lisht(x: Array) -> Array:
    """x tanh(x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(lisht(jnp.float32(-1.0)).item(), 4)
        0.7616
    """
    size, bound = magnitude(x), _exhausted(x)
    inside = jnp.where(size > bound, jnp.zeros_like(x), x)
    return jnp.where(size > bound, size, inside * jnp.tanh(inside))


@of_real_floats
def gelu(x: Array) -> Array:
    """The tanh form `gelu_tanh`, as in NNlib; `gelu_erf` is the exact one.

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu(jnp.float32(1.0)).item(), 4)
        0.8412
    """
    return gelu_tanh(x)


@of_real_floats
def gelu_erf(x: Array) -> Array:
    """x Φ(x), with the normal distribution function Φ; erfc keeps the digits of the left tail.

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_erf(jnp.float32(1.0)).item(), 4)
        0.8413
    """
    bound = math.sqrt(2 * _exhausted(x))
    return _gated(x, lambda x: jax.lax.erfc(-x * math.sqrt(0.5)) / 2, bound)


@of_real_floats
def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), written as a sigmoid to keep the left tail.

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_tanh(jnp.float32(1.0)).item(), 4)
        0.8412
    """
    rate = 2 * math.sqrt(2.0 / math.pi)
    bound = (_exhausted(x) / (0.044715 * rate)) ** (1 / 3)
    return _gated(x, lambda x: sigmoid(rate * (x + 0.044715 * (x * x * x))), bound)


@of_real_floats
def gelu_sigmoid(x: Array) -> Array:
    """x sigmoid(1.702 x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_sigmoid(jnp.float32(1.0)).item(), 4)
        0.8458
    """
    return _gated(x, lambda x: sigmoid(1.702 * x), _exhausted(x))


def _gated(x: Array, gate: Callable[[Array], Array], bound: float) -> Array:
    """x gate(x), for a gate that is 0 from -bound down and 1 from bound up."""
    # Clamped by selection: at a bound, the derivative is that of the inside.
    inside = jnp.where(x < -bound, jnp.full_like(x, -bound), x)
    inside = jnp.where(x > bound, jnp.full_like(x, bound), inside)
    return jnp.where(x > bound, x, inside * gate(inside))


def _exhausted(x: Array) -> float:
    """Where e⁻ˣ, and its product with a power of x, is 0 in the dtype of x, with some room."""
    limits = jnp.finfo(x.dtype)
    return 5 - 1.05 * (math.log(float(limits.tiny)) - limits.nmant * math.log(2.0))
