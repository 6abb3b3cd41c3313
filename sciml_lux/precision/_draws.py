"""Random draws for half precision: those of float32, rounded.

A uniform draw in bfloat16 or float16 has few possible values: what is computed from it is biased,
and the tails of a normal draw are wrong.
"""

import jax
import jax.numpy as jnp
import numpy as np


def draw_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype to draw in: float32 for float16 and bfloat16, otherwise `dtype`."""
    return np.dtype(jnp.float32 if jnp.finfo(dtype).bits == 16 else dtype)


def rounded(
    draw: jax.Array, dtype: np.dtype, lower: float = -np.inf, upper: float = np.inf
) -> jax.Array:
    """`draw` in `dtype`, where rounding stays within [lower, upper]."""
    if draw.dtype == dtype and (lower, upper) == (-np.inf, np.inf):
        return draw
    return jnp.clip(draw.astype(dtype), _up(lower, dtype), _down(upper, dtype))


def _up(bound: float, dtype: np.dtype) -> np.ndarray:
    """The least number of `dtype` that is not below `bound`."""
    return -_down(-bound, dtype)


def _down(bound: float, dtype: np.dtype) -> np.ndarray:
    """The greatest number of `dtype` that is not above `bound`."""
    with np.errstate(over="ignore"):
        nearest = np.asarray(bound).astype(dtype)
    # In float32 the bounds round as the draws do, so only half precision can exceed them.
    above = jnp.finfo(dtype).bits == 16 and float(nearest) > bound
    return np.nextafter(nearest, np.asarray(-np.inf, dtype)) if above else nearest
