"""Activations: one exact function each, of an array of any float dtype, which it keeps.

They are plain functions of primitives, so they pickle, differentiate to any order in either mode,
and stay finite in value and gradient at huge inputs. Where two branches meet, the branch not taken
sees a harmless argument (else its infinite derivative would turn the gradient into NaN).

Source of names and defaults: NNlib.jl, as listed for Lux 1.31.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array


def identity(x: Array) -> Array:
    """x."""
    return x


def relu(x: Array) -> Array:
    """max(x, 0), with derivative 0 at 0; NaN stays NaN."""
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6)."""
    return jnp.where(x >= 6, jnp.full_like(x, 6), relu(x))


def leakyrelu(x: Array, a: float = 0.01) -> Array:
    """x for x > 0, a x otherwise."""
    return jnp.where(x > 0, x, a * x)


def trelu(x: Array, theta: float = 1.0) -> Array:
    """x for x > theta, 0 otherwise; NaN stays NaN."""
    return jnp.where(x <= theta, jnp.zeros_like(x), x)


def elu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (eˣ - 1) otherwise."""
    return jnp.where(x > 0, x, a * jnp.expm1(_nonpositive(x)))


def celu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (e^(x/a) - 1) otherwise."""
    return jnp.where(x > 0, x, a * jnp.expm1(_nonpositive(x) / a))


def selu(x: Array) -> Array:
    """λ elu(x, α), with λ and α that keep mean 0 and variance 1 (arXiv 1706.02515)."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ)."""
    return jax.lax.logistic(x)


def hardsigmoid(x: Array) -> Array:
    """min(max((x + 3) / 6, 0), 1)."""
    return relu6(x + 3) / 6


def logsigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-x)


def softplus(x: Array) -> Array:
    """log(1 + eˣ)."""
    return relu(x) + jnp.log1p(jnp.exp(-_magnitude(x)))


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return jnp.tanh(x)


def hardtanh(x: Array) -> Array:
    """min(max(x, -1), 1)."""
    return jnp.where(x <= -1, -jnp.ones_like(x), jnp.where(x >= 1, jnp.ones_like(x), x))


def tanhshrink(x: Array) -> Array:
    """x - tanh(x)."""
    return x - jnp.tanh(x)


def softshrink(x: Array, lam: float = 0.5) -> Array:
    """x moved towards 0 by lam; 0 within."""
    return trelu(x - lam, 0.0) - trelu(-x - lam, 0.0)


def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + _magnitude(x))


def swish(x: Array) -> Array:
    """x sigmoid(x)."""
    return x * sigmoid(x)


def hardswish(x: Array) -> Array:
    """x hardsigmoid(x)."""
    return x * hardsigmoid(x)


def mish(x: Array) -> Array:
    """x tanh(softplus(x))."""
    return x * jnp.tanh(softplus(x))


def lisht(x: Array) -> Array:
    """x tanh(x)."""
    return x * jnp.tanh(x)


def logcosh(x: Array) -> Array:
    """log(cosh(x)), without overflow."""
    size = _magnitude(x)
    return size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2.0)


def gelu_erf(x: Array) -> Array:
    """x Φ(x), with the normal distribution function Φ; erfc keeps the digits of the left tail."""
    return x * (jax.lax.erfc(-x * math.sqrt(0.5)) / 2)


def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), written as a sigmoid to keep the left tail."""
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
    return x * sigmoid(2 * inner)


def gelu_sigmoid(x: Array) -> Array:
    """x sigmoid(1.702 x)."""
    return x * sigmoid(1.702 * x)


def gelu(x: Array) -> Array:
    """The tanh form `gelu_tanh`, as in NNlib; `gelu_erf` is the exact one."""
    return gelu_tanh(x)


def _nonpositive(x: Array) -> Array:
    return jnp.where(x > 0, jnp.zeros_like(x), x)


def _magnitude(x: Array) -> Array:
    """|x| with derivative ±1 everywhere, where that of `jnp.abs` is 0 at 0."""
    return jnp.where(x < 0, -x, x)
