"""What activations are made of, with derivatives that keep their digits in both tails and at 0.

JAX differentiates tanh as (1 - tanh)(1 + tanh), the logistic function as y (1 - y), and eˣ - 1 as
itself plus 1. Where these cancel, ours are products, at the price of an exponential of their own;
in float16 and bfloat16 those of tanh and the logistic function are JAX's.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._with_derivative import with_derivative


def _falling(x: Array, slope: Array) -> Array:
    return -slope * tanh_of_half(x)


@with_derivative(_falling)
def logistic_slope(x: Array) -> Array:
    """e⁻ˣ / (1 + e⁻ˣ)², which is even."""
    decay = jnp.exp(-jnp.abs(x))
    return decay / (1 + decay * (2 + decay))


def logistic(x: Array) -> Array:
    """1 / (1 + e⁻ˣ)."""
    return jax.lax.logistic(x) if _in_half(x) else _logistic(x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, with the derivative sech²."""
    return jnp.tanh(x) if _in_half(x) else _tanh(x)


def _in_half(x: Array) -> bool:
    """Whether fewer operations, and so fewer roundings, are worth more than the tails."""
    return jnp.finfo(x.dtype).nmant < jnp.finfo(jnp.float32).nmant


@with_derivative(lambda x, _: logistic_slope(x))
def _logistic(x: Array) -> Array:
    return jax.lax.logistic(x)


@with_derivative(lambda x, _: 4 * logistic_slope(2 * x))
def _tanh(x: Array) -> Array:
    return jnp.tanh(x)


@with_derivative(lambda x, _: 2 * logistic_slope(x))
def tanh_of_half(x: Array) -> Array:
    """tanh(x/2) = (1 - e⁻ˣ) / (1 + e⁻ˣ), which XLA's tanh misses by more where it is almost 1."""
    size = jnp.abs(x)
    decay = jnp.exp(-size)
    return jnp.where(size < 1, jnp.tanh(x / 2), jnp.sign(x) * ((1 - decay) / (1 + decay)))


@with_derivative(lambda x, _: jnp.exp(x))
def expm1(x: Array) -> Array:
    """eˣ - 1."""
    return jnp.expm1(x)
