"""Activations of straight pieces."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...precision.internal import draw_dtype, python_numbers, rounded
from .._op import op
from ._real_numbers import of_real_numbers


@op("x")
def identity(x: Array) -> Array:
    """x.

    Example:
        >>> import jax.numpy as jnp
        >>> identity(jnp.asarray([-1.0, 2.0], jnp.float32)).tolist()
        [-1.0, 2.0]
    """
    return x


@of_real_numbers
def relu(x: Array) -> Array:
    """max(x, 0), with derivative 0 at 0; NaN stays NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> relu(jnp.asarray([-1.0, 2.0], jnp.float32)).tolist()
        [0.0, 2.0]
    """
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


@of_real_numbers
def relu6(x: Array) -> Array:
    """min(max(x, 0), 6).

    Example:
        >>> import jax.numpy as jnp
        >>> relu6(jnp.asarray([-1.0, 2.0, 7.0], jnp.float32)).tolist()
        [0.0, 2.0, 6.0]
    """
    return jnp.where(x >= 6, jnp.full_like(x, 6), relu(x))


@of_real_numbers
def leakyrelu(x: Array, a: float = 0.01) -> Array:
    """x for x > 0, a x otherwise.

    Example:
        >>> import jax.numpy as jnp
        >>> leakyrelu(jnp.asarray([-1.0, 2.0], jnp.float32), 0.5).tolist()
        [-0.5, 2.0]
    """
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

    Example:
        >>> import jax.numpy as jnp
        >>> rrelu(jnp.asarray([-4.0, 2.0], jnp.float32), 0.25, 0.75).tolist()
        [-2.0, 2.0]
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
    """x for x > theta, 0 otherwise; NaN stays NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> trelu(jnp.asarray([0.5, 2.0], jnp.float32)).tolist()
        [0.0, 2.0]
    """
    return jnp.where(x <= python_numbers(theta), jnp.zeros_like(x), x)


@of_real_numbers
def thresholdrelu(x: Array, theta: float = 1.0) -> Array:
    """`trelu` by its other name.

    Example:
        >>> import jax.numpy as jnp
        >>> thresholdrelu(jnp.asarray([0.5, 2.0], jnp.float32)).tolist()
        [0.0, 2.0]
    """
    return trelu(x, theta)


@of_real_numbers
def hardtanh(x: Array) -> Array:
    """min(max(x, -1), 1).

    Example:
        >>> import jax.numpy as jnp
        >>> hardtanh(jnp.asarray([-3.0, 0.5, 3.0], jnp.float32)).tolist()
        [-1.0, 0.5, 1.0]
    """
    return jnp.where(x <= -1, -jnp.ones_like(x), jnp.where(x >= 1, jnp.ones_like(x), x))


@of_real_numbers
def hardsigmoid(x: Array) -> Array:
    """min(max((x + 3) / 6, 0), 1).

    Example:
        >>> import jax.numpy as jnp
        >>> hardsigmoid(jnp.asarray([-4.0, 0.0, 4.0], jnp.float32)).tolist()
        [0.0, 0.5, 1.0]
    """
    return relu6(x + 3) / 6


@of_real_numbers
def softshrink(x: Array, lam: float = 0.5) -> Array:
    """x moved towards 0 by lam; 0 within.

    Example:
        >>> import jax.numpy as jnp
        >>> softshrink(jnp.asarray([-2.0, 0.25, 2.0], jnp.float32)).tolist()
        [-1.5, 0.0, 1.5]
    """
    lam = python_numbers(lam)
    return trelu(x - lam, 0.0) - trelu(-x - lam, 0.0)
