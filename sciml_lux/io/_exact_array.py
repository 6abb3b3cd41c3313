"""From a file to JAX without losing a bit."""

import jax
import numpy as np

from ..precision import own_array, require_x64, x64_enabled

_WIDE_INTEGERS = ("int64", "uint64")


def require_exact(dtype: np.dtype, subject: str) -> None:
    """Raise if JAX would cut numbers of `dtype`, as it does to 64 bits while x64 is off.

    Raises:
        TypeError: names the switch.
    """
    require_x64(dtype, subject)
    if dtype.name in _WIDE_INTEGERS and not x64_enabled():
        raise TypeError(
            f"{subject} is {dtype.name}, but jax_enable_x64 is off and JAX would cut it to 32 "
            "bits. Call jax.config.update('jax_enable_x64', True) before any array is made."
        )


def exact_array(array: np.ndarray, subject: str) -> jax.Array:
    """`array` in JAX: of the same dtype, and in memory of its own, since steps may donate it.

    Raises:
        TypeError: it is of 64 bits while x64 is off.
    """
    require_exact(array.dtype, subject)
    return own_array(array)
