"""Sine and cosine of a quantity with a period."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import accumulating, promote
from .._op import op


@op("x", "periods")
def periodic_sin_cos(
    x: Float[Array, "... dims"], periods: Float[Array, " dims"]
) -> tuple[Float[Array, "... dims"], Float[Array, "... dims"]]:
    """sin(2πx/period) and cos(2πx/period).

    x is first reduced by the period to (-period/2, period/2], which is exact in floating point: at
    x = 10⁶ periods the result has all its digits, where 2πx/period alone has lost six. The
    derivatives of any order, by x and by the periods, are those of the formula.

    Args:
        x: (..., dims).
        periods: (dims,), not zero.

    Returns:
        Two arrays of the shape of x, in the widest of the dtypes; float16 and bfloat16 are computed
        in float32 and rounded at the end.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> x, periods = jnp.asarray([1e6], jnp.float32), jnp.asarray([4.0], jnp.float32)
        >>> [part.tolist() for part in periodic_sin_cos(x, periods)]
        [[0.0], [1.0]]
    """
    if x.ndim == 0 or periods.shape != x.shape[-1:]:
        raise ValueError(
            "`periodic_sin_cos` expects `x` (..., dims) and `periods` (dims,), got "
            f"{x.shape} and {periods.shape}."
        )
    return accumulating(_sin_cos, *promote(x, periods))


def _sin_cos(x: Array, periods: Array) -> tuple[Array, Array]:
    periods = jax.lax.broadcast_in_dim(periods, x.shape, (x.ndim - 1,))
    rest = jax.lax.rem(x, periods)
    rest = rest - periods * jnp.round(rest / periods)
    angle = 2 * math.pi * (rest / periods)
    return jnp.sin(angle), jnp.cos(angle)
