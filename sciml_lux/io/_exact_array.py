"""From a file to JAX without losing a bit."""

import jax
import numpy as np

from ..precision.internal import own_array, require_exact_dtype


def exact_array(array: np.ndarray, subject: str) -> jax.Array:
    """`array` in JAX: of the same dtype, and in memory of its own, since steps may donate it.

    Raises:
        TypeError: it is of 64 bits while x64 is off.
    """
    require_exact_dtype(array.dtype, subject)
    return own_array(array)
