"""Arrays of the user's, taken into memory that nobody else writes to."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")


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


def own_memory(tree: Tree) -> Tree:
    """`tree` with a copy of each array of NumPy; the same object where there is none.

    JAX computes while the call has returned already: without a copy it may read what was written to
    NumPy's memory in the meantime. The copies stay NumPy's, since to make an array of JAX costs as
    much as ten operations, and JAX does it by itself on the way.

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
