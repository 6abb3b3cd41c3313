"""Copies of the user's arrays, in memory that only JAX writes to."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ._types import Leaf


def own_array(leaf: Leaf, dtype: DTypeLike | None = None) -> jax.Array:
    """`leaf` as a JAX array, of `dtype` where it is given, that shares no memory with NumPy.

    On the CPU, JAX uses aligned NumPy memory without a copy: a later write to it would change the
    array, and a donated array could be overwritten. A JAX array of that dtype is returned as it is.

    Example:
        >>> import numpy as np
        >>> memory = np.zeros(64, np.float32)
        >>> copy = own_array(memory)
        >>> memory[:] = 1.0
        >>> copy.max().item()
        0.0
    """
    take = jnp.asarray if isinstance(leaf, jax.Array) else jnp.array
    return take(leaf, dtype)
