"""Integers in int32, to which JAX cuts longer ones in silence: 2³² + 1 would come to be 1."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Integer

_NUMPY = (np.ndarray, np.generic)


def index_in_int32(index: Integer[Array, "*shape"], size: int) -> Int32[Array, "*shape"]:
    """`index` with -1 for those outside of 0 ... size - 1, if its dtype is longer than int32.

    Indices of a dtype no longer than int32 keep their values.

    Example:
        >>> index_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, -1, -1]
    """
    if jnp.iinfo(index.dtype).max <= jnp.iinfo(jnp.int32).max:
        return index.astype(np.int32)
    select = np.where if isinstance(index, _NUMPY) else jnp.where
    return select((index >= 0) & (index < size), index.astype(np.int32), np.int32(-1))


def count_in_int32(count: Integer[Array, "*shape"], most: int) -> Int32[Array, "*shape"]:
    """`count` with 0 for those below and `most` for those above.

    Example:
        >>> count_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, 3, 0]
    """
    clip = np.clip if isinstance(count, _NUMPY) else jnp.clip
    # A short dtype may not hold `most`.
    return jnp.asarray(clip(count, 0, min(most, jnp.iinfo(count.dtype).max)).astype(np.int32))
