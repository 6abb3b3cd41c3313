"""Conversions of whole trees: here a cast is the purpose."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ._exact import require_exact_dtype
from ._own_array import own_array
from ._promotion import result_dtype
from ._types import Leaf

Tree = TypeVar("Tree")

_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def _convert(tree: Tree, dtype: DTypeLike) -> Tree:
    real = jnp.dtype(dtype)
    # float16 and bfloat16 have no complex partner; complex64 is the nearest.
    complex_ = jnp.dtype(_COMPLEX.get(real.name, "complex64"))

    def convert(leaf: Leaf) -> Leaf:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            return leaf
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return own_array(leaf, complex_)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return own_array(leaf, real)
        return leaf

    return jax.tree.map(convert, tree)


def f16(tree: Tree) -> Tree:
    """`tree` with floating leaves in float16 and complex ones in complex64; the rest is unchanged.

    Example:
        >>> import jax.numpy as jnp
        >>> f16({"w": jnp.ones(2, jnp.float32)})["w"].dtype.name
        'float16'
    """
    return _convert(tree, jnp.float16)


def bf16(tree: Tree) -> Tree:
    """`tree` with floating leaves in bfloat16 and complex ones in complex64; the rest is unchanged.

    Example:
        >>> import jax.numpy as jnp
        >>> bf16({"w": jnp.ones(2, jnp.float32)})["w"].dtype.name
        'bfloat16'
    """
    return _convert(tree, jnp.bfloat16)


def f32(tree: Tree) -> Tree:
    """`tree` with floating leaves in float32 and complex ones in complex64; the rest is unchanged.

    Example:
        >>> import numpy as np
        >>> tree = f32({"w": np.ones(2, np.float16), "n": np.arange(2, dtype=np.int32)})
        >>> tree["w"].dtype.name, tree["n"].dtype.name
        ('float32', 'int32')
    """
    return _convert(tree, jnp.float32)


def f64(tree: Tree) -> Tree:
    """`tree` with floating leaves in float64 and complex ones in complex128; the rest is unchanged.

    Raises:
        TypeError: `jax_enable_x64` is off.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> with jax.enable_x64(True):
        ...     f64({"w": jnp.ones(2, jnp.float32)})["w"].dtype.name
        'float64'
    """
    require_exact_dtype(jnp.float64, "`f64`: the dtype asked for")
    return _convert(tree, jnp.float64)


def tree_dtype(tree: PyTree) -> np.dtype | None:
    """The common dtype of all floating and complex leaves of `tree`; None if there is none.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.

    Source: `recursive_eltype` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> tree_dtype({"w": jnp.ones(2, jnp.float32), "n": jnp.arange(2)}).name
        'float32'
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return result_dtype(*floats) if floats else None
