"""Copies of the user's arrays, in memory that nobody else writes to."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ._types import Leaf

Tree = TypeVar("Tree")


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


def own_memory(tree: Tree) -> Tree:
    """`tree` with a copy of each NumPy array; the same object if it has none.

    JAX may still compute after a call has returned: without a copy it could read what was written
    to the NumPy memory in the meantime. The copies are NumPy arrays: to make a JAX array costs as
    much as ten operations, and JAX does that itself when it computes.

    Example:
        >>> import numpy as np
        >>> memory = np.zeros(2, np.float32)
        >>> kept = own_memory({"x": memory})
        >>> memory[:] = 1.0
        >>> kept["x"].tolist()
        [0.0, 0.0]
    """
    if not any([isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree)]):
        return tree
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, tree)
