"""Integers in int32, to which JAX cuts longer ones in silence: 2³² + 1 would come to be 1."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32


def index_in_int32(index: Any, size: int) -> Any:
    """`index` with -1 for those outside of 0 ... size - 1, if its dtype is longer than int32.

    Indices of a dtype no longer than int32 keep their values. Arrays of NumPy stay NumPy's, since
    with x64 off JAX cuts them as soon as it sees them.

    Example:
        >>> index_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, -1, -1]
    """
    if jnp.iinfo(index.dtype).max <= jnp.iinfo(jnp.int32).max:
        return index.astype(np.int32)
    where = _library(index).where
    return where((index >= 0) & (index < size), index.astype(np.int32), np.int32(-1))


def count_in_int32(count: Any, most: int) -> Int32[Array, "..."]:
    """`count` with 0 for those below and `most` for those above.

    Example:
        >>> count_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, 3, 0]
    """
    # A short dtype may not hold `most`.
    most = min(most, jnp.iinfo(count.dtype).max)
    return jnp.asarray(_library(count).clip(count, 0, most).astype(np.int32))


def _library(array: Any) -> Any:
    return np if isinstance(array, np.ndarray | np.generic) else jnp
