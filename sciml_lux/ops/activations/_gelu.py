"""Activations that are x times a distribution function."""

from fractions import Fraction

import jax.numpy as jnp
from jaxtyping import Array

from ._exact import tanh_to_the_end
from ._gated import exhausted, gated
from ._normal import normal_distribution
from ._real_numbers import of_real_floats
from ._two_parts import decay_of_cubic
from ._with_derivative import Elementwise, with_derivative


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
    """x Φ(x), with the normal distribution function Φ.

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_erf(jnp.float32(1.0)).item(), 4)
        0.8413
    """
    return gated(x, normal_distribution, (2 * exhausted(x)) ** 0.5)


@of_real_floats
def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), which is x sigmoid(√(8/π) (x + 0.044715 x³)).

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_tanh(jnp.float32(1.0)).item(), 4)
        0.8412
    """
    return gated(x, _sigmoid_of_cubic, (exhausted(x) / float(_CUBIC)) ** (1 / 3))


@of_real_floats
def gelu_sigmoid(x: Array) -> Array:
    """x sigmoid(1.702 x).

    Example:
        >>> import jax.numpy as jnp
        >>> round(gelu_sigmoid(jnp.float32(1.0)).item(), 4)
        0.8458
    """
    return gated(x, _sigmoid_of_multiple, exhausted(x))


def _sigmoid_of(rate: Fraction, cubic: Fraction) -> Elementwise:
    """sigmoid(z) of z = rate x + cubic x³ as a function of x, to the end of its left tail.

    With b = sigmoid'(z) and t = tanh(z/2), whose derivatives by z are -b t and 2b, the first two
    derivatives by x are z' b and b (z'' - z'² t).
    """

    def argument(x: Array) -> Array:
        return x * (float(rate) + float(cubic) * (x * x))

    def steepness(x: Array) -> Array:
        return float(rate) + float(3 * cubic) * (x * x)

    def bend(x: Array) -> Array:
        square = x * x
        steepness_squared = float(rate * rate) + square * (
            float(6 * rate * cubic) + float(9 * cubic * cubic) * square
        )
        return float(6 * cubic) * x - steepness_squared * tanh_to_the_end(argument(x) / 2)

    @with_derivative(lambda x, b: -steepness(x) * b * tanh_to_the_end(argument(x) / 2))
    def bell(x: Array) -> Array:
        decay = decay_of_cubic(x, rate, cubic)
        return decay / (1 + decay * (2 + decay))

    @with_derivative(lambda x, _: bell(x) * bend(x))
    def slope(x: Array) -> Array:
        return steepness(x) * bell(x)

    @with_derivative(lambda x, _: slope(x))
    def sigmoid(x: Array) -> Array:
        decay = decay_of_cubic(x, rate, cubic)
        return jnp.where(x < 0, decay, jnp.ones_like(x)) / (1 + decay)

    return sigmoid


_RATE = Fraction("1.5957691216057307117597842397375274738")  # √(8/π)
_CUBIC = _RATE * Fraction("0.044715")
_sigmoid_of_cubic = _sigmoid_of(_RATE, _CUBIC)
_sigmoid_of_multiple = _sigmoid_of(Fraction("1.702"), Fraction(0))
