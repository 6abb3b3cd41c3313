"""Conversions of whole trees, the one place where a cast is the purpose."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ._exact import require_exact_dtype
from ._own_array import own_array
from ._promotion import result_dtype

Tree = TypeVar("Tree")

_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def _convert(tree: Tree, dtype: Any) -> Tree:
    real = jnp.dtype(dtype)
    # float16 and bfloat16 have no complex partner; complex64 is the nearest.
    complex_ = jnp.dtype(_COMPLEX.get(real.name, "complex64"))

    def convert(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            return leaf
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return own_array(leaf, complex_)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return own_array(leaf, real)
        return leaf

    return jax.tree.map(convert, tree)


def f16(tree: Tree) -> Tree:
    """`tree` with floating leaves in float16; complex stays complex, the rest is untouched."""
    return _convert(tree, jnp.float16)


def bf16(tree: Tree) -> Tree:
    """`tree` with floating leaves in bfloat16; complex stays complex, the rest is untouched."""
    return _convert(tree, jnp.bfloat16)


def f32(tree: Tree) -> Tree:
    """`tree` with floating leaves in float32; complex64 for complex, the rest is untouched.

    Example:
        >>> import numpy as np
        >>> tree = f32({"w": np.ones(2, np.float16), "n": np.arange(2, dtype=np.int32)})
        >>> tree["w"].dtype.name, tree["n"].dtype.name
        ('float32', 'int32')
    """
    return _convert(tree, jnp.float32)


def f64(tree: Tree) -> Tree:
    """`tree` with floating leaves in float64; complex128 for complex, the rest is untouched.

    Raises:
        TypeError: `jax_enable_x64` is off.
    """
    require_exact_dtype(jnp.float64, "`f64`: the dtype asked for")
    return _convert(tree, jnp.float64)


def tree_dtype(tree: Any) -> np.dtype | None:
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
