"""Dropout for networks of selu units."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._op import op
from ._dropout import keep_mask, probability

# What selu gives for -∞.
_SELU_FLOOR = -1.7580993408473766


@op("x")
def alpha_dropout(
    key: Key[Array, ""], x: Float[Array, "..."], p: float, training: bool
) -> tuple[Float[Array, "..."], Key[Array, ""]]:
    """A where(u > p, x, α) + B with u ~ U(0, 1), which keeps mean 0 and variance 1.

    α = -1.7580993408473766 is where selu ends, A = 1/√((1-p)(1 + p α²)) and B = -A α p.

    Args:
        key: typed random key.
        x: real floats.
        p: the chance of α, a number; 0 keeps x as it is and 1 makes it 0.
        training: whether anything is done.

    Returns:
        y as `x`, and a new key; with `training=False`, `x` and `key` as they are.

    Raises:
        ValueError: `p` is not in [0, 1].
        TypeError: `training` is not a bool; x is not of real floats.

    Source: `alpha_dropout` of LuxLib 1.15; u as in `dropout`. arXiv 1706.02515.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> y, key = alpha_dropout(jax.random.key(0), jnp.ones(4, jnp.float32), 0.0, True)
        >>> y.tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    if not isinstance(training, bool):
        raise TypeError(
            f"`alpha_dropout` expects `training` to be True or False, got {training!r}. Say which: "
            "it cannot be seen from whether a gradient is taken."
        )
    p = probability("alpha_dropout", p)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"`alpha_dropout` expects `x` to be of real floats, got {x.dtype}. Convert it, for "
            "example x.astype(jnp.float32)."
        )
    if not training:
        return x, key
    key, use = jax.random.split(key)
    if p == 1:
        return jnp.zeros_like(x), key
    a = ((1.0 - p) * (1.0 + p * _SELU_FLOOR**2)) ** -0.5
    mixed = jnp.where(keep_mask(use, x.shape, p, x.dtype), x, jnp.full_like(x, _SELU_FLOOR))
    return a * mixed - a * _SELU_FLOOR * p, key
