"""What activations are made of, with derivatives that keep their digits in both tails and at 0.

JAX differentiates tanh as (1 - tanh)(1 + tanh), the logistic function as y (1 - y), and eˣ - 1 as
itself plus 1. Where these cancel, ours are products, at the price of an exponential of their own;
in float16 and bfloat16 those of tanh and the logistic function are JAX's.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._with_derivative import with_derivative

# From here on XLA's tanh has lost digits that 1 - (1 - |tanh|) has.
_NEAR = 0.5625


def _rest(x: Array) -> Array:
    """1 - |tanh(x)|, also where that is less than the rounding of tanh."""
    decay = jnp.exp(-2 * jnp.abs(x))
    return 2 * decay / (1 + decay)


def _falling(x: Array, slope: Array) -> Array:
    return -2 * slope * tanh_to_the_end(x)


@with_derivative(_falling)
def tanh_slope(x: Array) -> Array:
    """1 - tanh²(x)."""
    rest = _rest(x)
    return rest * (2 - rest)


@with_derivative(lambda x, _: tanh_slope(x))
def tanh_to_the_end(x: Array) -> Array:
    """tanh(x), within two ulps also where it is almost 1."""
    return jnp.where(jnp.abs(x) < _NEAR, jnp.tanh(x), jnp.sign(x) * (1 - _rest(x)))


def logistic(x: Array) -> Array:
    """1 / (1 + e⁻ˣ)."""
    return jax.lax.logistic(x) if _in_half(x) else _logistic(x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, with the derivative sech²."""
    return jnp.tanh(x) if _in_half(x) else _tanh(x)


def _in_half(x: Array) -> bool:
    """Whether fewer operations, and so fewer roundings, are worth more than the tails."""
    return jnp.finfo(x.dtype).nmant < jnp.finfo(jnp.float32).nmant


@with_derivative(lambda x, _: tanh_slope(x / 2) / 4)
def _logistic(x: Array) -> Array:
    return jax.lax.logistic(x)


@with_derivative(lambda x, _: tanh_slope(x))
def _tanh(x: Array) -> Array:
    return jnp.tanh(x)


@with_derivative(lambda x, _: jnp.exp(x))
def expm1(x: Array) -> Array:
    """eˣ - 1."""
    return jnp.expm1(x)
