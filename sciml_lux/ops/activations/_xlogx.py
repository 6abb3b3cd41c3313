"""x log x and x log y, with 0 log 0 = 0."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import accumulating, promote
from .._op import op
from ._real_numbers import is_number, number_as_array, of_real_numbers


@of_real_numbers
def xlogx(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x log x, and 0 at x = 0.

    All derivatives at 0 are taken to be 0, so that an entry that stays 0 leaves gradients finite;
    the limit of the first is -inf. NaN, and x below 0, give NaN.

    Args:
        x: of any shape.

    Returns:
        Of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not floating.

    Source: `LuxOps.xlogx` of Lux 1.31, whose broadcast has -inf as derivative at 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.asarray([0.0, 1.0], jnp.float32)
        >>> xlogx(x).tolist(), jax.grad(lambda x: jnp.sum(xlogx(x)))(x).tolist()
        ([0.0, 0.0], [0.0, 1.0])
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`xlogx` expects `x` to be floating, got {x.dtype}. Convert it.")
    return x * jnp.log(jnp.where(x == 0, jnp.ones_like(x), x))


@op("x", "y")
def xlogy(x: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x log y, and 0 at x = 0 whatever y is: also where log y is infinite or NaN.

    At x = 0 the derivative by x is log y where y is above 0 and finite, as everywhere; else all
    derivatives there are taken to be 0. Elsewhere NaN, and y below 0, give NaN.

    Args:
        x: of any shape, or a number.
        y: of the same shape, or one of the two has shape (); or a number.

    Returns:
        Of their shape, in the wider of their dtypes.

    Raises:
        ValueError: the shapes differ.
        TypeError: `x` or `y` is not floating.

    Source: `LuxOps.xlogy` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([0.0, 0.0, 2.0], jnp.float32)
        >>> xlogy(x, jnp.asarray([0.0, -1.0, 1.0], jnp.float32)).tolist()
        [0.0, 0.0, 0.0]
    """
    x, y = _beside(x, y), _beside(y, x)
    for name, array in (("x", x), ("y", y)):
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(
                f"`xlogy` expects `{name}` to be floating, got {array.dtype}. Convert it."
            )
    if x.shape != y.shape and () not in (x.shape, y.shape):
        raise ValueError(f"`xlogy` expects `x` and `y` of one shape, got {x.shape} and {y.shape}.")
    x, y = promote(x, y)
    # A platform may take a subnormal y for 0.
    has_log = (y >= jnp.finfo(y.dtype).tiny) & (y < jnp.inf)
    log = jnp.log(jnp.where((x == 0) & ~has_log, jnp.ones_like(y), y))
    return accumulating(jnp.multiply, x, log)


def _beside(x: Any, other: Any) -> Any:
    """`x`; a Python number as an array of the dtype of `other`."""
    if is_number(x) and hasattr(other, "dtype"):
        return jnp.asarray(x, other.dtype)
    return number_as_array(x)
