"""Integers in int32, to which JAX cuts longer ones without a word: 2³² + 1 would become 1."""

from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int32

from ._x64 import x64_enabled

Integers: TypeAlias = Array | np.ndarray | np.integer
"""Integers of JAX or NumPy."""


def index_in_int32(index: Integers, size: int) -> Integers:
    """`index` in int32; a longer dtype gets -1 for indices out of 0 ... size - 1.

    Indices of int32 and shorter dtypes keep their values. NumPy arrays stay NumPy arrays, since
    with x64 off JAX would cut them.

    Example:
        >>> index_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, -1, -1]
    """
    if jnp.iinfo(index.dtype).max <= jnp.iinfo(jnp.int32).max:
        return index.astype(np.int32)
    index = _uncut(index)
    where = _library(index).where
    return where((index >= 0) & (index < size), index.astype(np.int32), np.int32(-1))


def count_in_int32(count: Integers, most: int) -> Int32[Array, "..."]:
    """`count` in int32, with 0 for negative entries and `most` for larger ones.

    Example:
        >>> count_in_int32(np.asarray([1, 2**32 + 1, -(2**40)]), 3).tolist()
        [1, 3, 0]
    """
    count = _uncut(count)
    # A short dtype may not hold `most`.
    most = min(most, jnp.iinfo(count.dtype).max)
    return jnp.asarray(_library(count).clip(count, 0, most).astype(np.int32))


def _uncut(array: Integers) -> Integers:
    """`array` as one of NumPy if JAX would cut it: made with x64 on, and used with x64 off."""
    is_wide = jnp.iinfo(array.dtype).bits > 32 and not x64_enabled()
    return np.asarray(array) if is_wide and not isinstance(array, Tracer) else array


def _library(array: Integers) -> Any:
    return np if isinstance(array, np.ndarray | np.generic) else jnp
