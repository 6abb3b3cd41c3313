"""Promotion that widens and never narrows, whatever JAX's promotion mode is."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._leaves import floating_leaves
from ._x64 import require_x64_for


class EltypeMismatchError(TypeError):
    """Two dtypes meet that have no common dtype among themselves."""


def _common(left: np.dtype, right: np.dtype) -> np.dtype:
    if {left.name, right.name} == {"float16", "bfloat16"}:
        raise EltypeMismatchError(
            "float16 and bfloat16 do not mix: their common dtype would be float32, which neither "
            "side asked for. Convert one of them, for example with precision.bf16."
        )
    with jax.numpy_dtype_promotion("standard"):
        return jnp.dtype(jnp.promote_types(left, right))


def result_dtype(*arrays: Any) -> np.dtype:
    """The dtype in which `arrays` are combined: the widest, from strong dtypes only.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.

    Example:
        >>> import jax.numpy as jnp
        >>> result_dtype(jnp.zeros(2, jnp.bfloat16), jnp.zeros(2, jnp.float32)).name
        'float32'
    """
    dtypes = [array.dtype for array in arrays]
    for left, right in itertools.combinations(dtypes, 2):
        _common(left, right)
    return functools.reduce(_common, dtypes)


def promote(*arrays: Array) -> tuple[Array, ...]:
    """`arrays` in their common dtype; each is widened or left as it is.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.
    """
    require_x64_for(arrays, "an operand")
    dtype = result_dtype(*arrays)
    return tuple(a if a.dtype == dtype else jnp.asarray(a).astype(dtype) for a in arrays)


def accumulated(x: Array) -> Array:
    """`x` in the dtype of its sums: float32 for float16 and bfloat16, else its own."""
    return x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x


def promote_floats(*trees: Any) -> tuple[Any, ...]:
    """`trees` with all their floating and complex arrays in one common dtype.

    For functions of the user that combine what layers return, such as the connection of a skip:
    under strict promotion JAX would refuse two dtypes there.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.
    """
    leaves, rebuild = floating_leaves(trees)
    if len({leaf.dtype for leaf in leaves if hasattr(leaf, "dtype")}) < 2:
        return trees
    arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype")]
    promoted = iter(promote(*arrays))
    return rebuild([next(promoted) if hasattr(leaf, "dtype") else leaf for leaf in leaves])
