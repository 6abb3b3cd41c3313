"""Activations that are exponential on the left."""

import jax.numpy as jnp
from jaxtyping import Array

from ...precision.internal import python_numbers
from ._exact import expm1
from ._real_numbers import of_real_numbers


@of_real_numbers
def elu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (eˣ - 1) otherwise.

    Example:
        >>> import jax.numpy as jnp
        >>> round(elu(jnp.float32(-1.0)).item(), 4)
        -0.6321
    """
    return jnp.where(x > 0, x, python_numbers(a) * expm1(_nonpositive(x)))


@of_real_numbers
def celu(x: Array, a: float = 1.0) -> Array:
    """x for x > 0, a (e^(x/a) - 1) otherwise.

    Example:
        >>> import jax.numpy as jnp
        >>> round(celu(jnp.float32(-1.0)).item(), 4)
        -0.6321
    """
    a = python_numbers(a)
    return jnp.where(x > 0, x, a * expm1(_nonpositive(x) / a))


@of_real_numbers
def selu(x: Array) -> Array:
    """λ elu(x, α), with λ and α that keep mean 0 and variance 1 (arXiv 1706.02515).

    Example:
        >>> import jax.numpy as jnp
        >>> round(selu(jnp.float32(1.0)).item(), 4)
        1.0507
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def _nonpositive(x: Array) -> Array:
    return jnp.where(x > 0, jnp.zeros_like(x), x)
