"""Arrays of the user's, taken into memory that only JAX writes to."""

from typing import Any

import jax
import jax.numpy as jnp


def own_array(leaf: Any, dtype: Any = None) -> jax.Array:
    """`leaf` as a JAX array, of `dtype` where it is given, that shares no memory with NumPy.

    JAX takes aligned memory of NumPy as it is, on the CPU: what is written there later would change
    the array, and what is donated could be written to. An array of JAX of that dtype is returned
    as it is.

    Example:
        >>> import numpy as np
        >>> memory = np.zeros(64, np.float32)
        >>> kept = own_array(memory)
        >>> memory[:] = 1.0
        >>> kept.max().item()
        0.0
    """
    take = jnp.asarray if isinstance(leaf, jax.Array) else jnp.array
    return take(leaf, dtype)
