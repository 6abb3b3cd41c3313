"""Activations: one exact function each, of an array of any float dtype, which it keeps.

They are plain functions of primitives, so they pickle and differentiate to any order in either
mode. At huge and infinite inputs value and derivatives are their limits, never NaN. Where two
branches meet, the branch not taken sees a harmless argument (else its infinite derivative would
turn the gradient into NaN).

Source of names and defaults: NNlib.jl, as listed for Lux 1.31.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...precision.internal import draw_dtype, python_numbers, rounded
from .._op import op
from ._real_numbers import number_as_array, of_real_numbers


@op("x")
def identity(x: Array) -> Array:
    """x."""
    return x


@of_real_numbers
def relu(x: Array) -> Array:
    """max(x, 0), with derivative 0 at 0; NaN stays NaN."""
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


@of_real_numbers
def relu6(x: Array) -> Array:
    """min(max(x, 0), 6)."""
    return jnp.where(x >= 6, jnp.full_like(x, 6), relu(x))


@of_real_numbers
def leakyrelu(x: Array, a: float = 0.01) -> Array:
    """x for x > 0, a x otherwise."""
    return jnp.where(x > 0, x, python_numbers(a) * x)


@of_real_numbers
def rrelu(
    x: Array, lower: float = 1 / 8, upper: float = 1 / 3, *, key: jax.Array | None = None
) -> Array:
    """x for x > 0, a x otherwise, with a slope a from U(lower, upper) for each entry.

    Args:
        x: of any shape.
        lower: least slope.
        upper: greatest slope.
        key: for the draw of the slopes. Without one they are their mean, (lower + upper)/2, as is
            right for testing, and the function can stand wherever an activation can.

    Returns:
        Of the shape and dtype of `x`.

    Raises:
        ValueError: `lower` above `upper`.

    Source: `rrelu` of NNlib, which draws from a global generator in every mode; arXiv 1505.00853.
    """
    lower, upper = python_numbers((lower, upper))
    if lower > upper:
        raise ValueError(
            f"`rrelu` expects `lower` of at most `upper`, got {lower} and {upper}. Swap them."
        )
    if key is None:
        return leakyrelu(x, (lower + upper) / 2)
    slopes = jax.random.uniform(key, x.shape, draw_dtype(x.dtype), lower, upper)
    return jnp.where(x > 0, x, rounded(slopes, x.dtype, lower, upper) * x)


@of_real_numbers
def trelu(x: Array, theta: float = 1.0) -> Array:
    """x for x > theta, 0 otherwise; NaN stays NaN."""
    return jnp.where(x <= python_numbers(theta), jnp.zeros_like(x), x)


@of_real_numbers
def thresholdrelu(x: Array, theta: float = 1.0) -> Array:
    """`trelu` by its other name."""
    return trelu(x, theta)


@of_real_numbers
def elu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (eˣ - 1) otherwise."""
    return jnp.where(x > 0, x, python_numbers(a) * jnp.expm1(_nonpositive(x)))


@of_real_numbers
def celu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (e^(x/a) - 1) otherwise."""
    a = python_numbers(a)
    return jnp.where(x > 0, x, a * jnp.expm1(_nonpositive(x) / a))


@of_real_numbers
def selu(x: Array) -> Array:
    """λ elu(x, α), with λ and α that keep mean 0 and variance 1 (arXiv 1706.02515)."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


@op("x")
def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ)."""
    return jax.lax.logistic(number_as_array(x))


@op("x")
def sigmoid_fast(x: Array) -> Array:
    """`sigmoid` itself: in NNlib this name is an approximation, here nothing is."""
    return sigmoid(x)


@of_real_numbers
def hardsigmoid(x: Array) -> Array:
    """min(max((x + 3) / 6, 0), 1)."""
    return relu6(x + 3) / 6


@of_real_numbers
def logsigmoid(x: Array) -> Array:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -softplus(-x)


@of_real_numbers
def softplus(x: Array) -> Array:
    """log(1 + eˣ)."""
    # At 0 both are those of the left side, so that all derivatives are right there.
    return relu(x) + jnp.log1p(jnp.exp(-_magnitude(x)))


@op("x")
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return jnp.tanh(x)


@op("x")
def tanh_fast(x: Array) -> Array:
    """`tanh` itself: in NNlib this name is an approximation, here nothing is."""
    return tanh(x)


@of_real_numbers
def hardtanh(x: Array) -> Array:
    """min(max(x, -1), 1)."""
    return jnp.where(x <= -1, -jnp.ones_like(x), jnp.where(x >= 1, jnp.ones_like(x), x))


@op("x")
def tanhshrink(x: Array) -> Array:
    """x - tanh(x), with all digits near 0."""
    is_near = jnp.abs(x) < 2
    near = jnp.where(is_near, x, jnp.zeros_like(x))
    # tanh(x) = x / (1 + rest) by Lambert's fraction, of positive terms only.
    square, rest = near * near, jnp.zeros_like(x)
    for odd in range(29, 1, -2):
        rest = square / (odd + rest)
    return jnp.where(is_near, near * (rest / (1 + rest)), x - jnp.tanh(x))


@of_real_numbers
def softshrink(x: Array, lam: float = 0.5) -> Array:
    """x moved towards 0 by lam; 0 within."""
    lam = python_numbers(lam)
    return trelu(x - lam, 0.0) - trelu(-x - lam, 0.0)


@of_real_numbers
def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    size = _magnitude(x)
    inverse = 1 / (1 + size)
    # Far out as 1 - 1/(1 + |x|), whose derivative does not cancel.
    near = jnp.where(size < 1, x, jnp.zeros_like(x)) * inverse
    return jnp.where(size < 1, near, jnp.where(x > 0, 1 - inverse, inverse - 1))


@of_real_numbers
def swish(x: Array) -> Array:
    """x sigmoid(x)."""
    return _gated(x, sigmoid, _exhausted(x))


@of_real_numbers
def hardswish(x: Array) -> Array:
    """x hardsigmoid(x)."""
    return _gated(x, hardsigmoid, 3.0)


@of_real_numbers
def mish(x: Array) -> Array:
    """x tanh(softplus(x))."""
    return _gated(x, lambda x: jnp.tanh(softplus(x)), _exhausted(x))


@of_real_numbers
def lisht(x: Array) -> Array:
    """x tanh(x)."""
    size, bound = _magnitude(x), _exhausted(x)
    inside = jnp.where(size > bound, jnp.zeros_like(x), x)
    return jnp.where(size > bound, size, inside * jnp.tanh(inside))


@of_real_numbers
def logcosh(x: Array) -> Array:
    """log(cosh(x)), without overflow and with all digits near 0."""
    size = _magnitude(x)
    half = jnp.sinh(jnp.where(size < 1, x, jnp.zeros_like(x)) / 2)
    far = size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2.0)
    return jnp.where(size < 1, jnp.log1p(2 * half * half), far)


@of_real_numbers
def gelu_erf(x: Array) -> Array:
    """x Φ(x), with the normal distribution function Φ; erfc keeps the digits of the left tail."""
    bound = math.sqrt(2 * _exhausted(x))
    return _gated(x, lambda x: jax.lax.erfc(-x * math.sqrt(0.5)) / 2, bound)


@of_real_numbers
def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), written as a sigmoid to keep the left tail."""
    rate = 2 * math.sqrt(2.0 / math.pi)
    bound = (_exhausted(x) / (0.044715 * rate)) ** (1 / 3)
    return _gated(x, lambda x: sigmoid(rate * (x + 0.044715 * (x * x * x))), bound)


@of_real_numbers
def gelu_sigmoid(x: Array) -> Array:
    """x sigmoid(1.702 x)."""
    return _gated(x, lambda x: sigmoid(1.702 * x), _exhausted(x))


@of_real_numbers
def gelu(x: Array) -> Array:
    """The tanh form `gelu_tanh`, as in NNlib; `gelu_erf` is the exact one."""
    return gelu_tanh(x)


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


def _nonpositive(x: Array) -> Array:
    return jnp.where(x > 0, jnp.zeros_like(x), x)


def _magnitude(x: Array) -> Array:
    """|x|, with derivative -1 at 0: that of the side on which `relu` is there too."""
    return jnp.where(x > 0, x, -x)
