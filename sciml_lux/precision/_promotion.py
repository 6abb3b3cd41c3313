"""Promotion that widens and never narrows, whatever JAX's promotion mode is."""

import functools
import itertools
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from ._exact import require_exact_floats
from ._leaves import floating_leaves
from ._types import AnyArray


class HasDtype(Protocol):
    """An array of any library, or a shape."""

    @property
    def dtype(self) -> np.dtype:
        """Its dtype."""
        ...


class EltypeMismatchError(TypeError):
    """Two dtypes meet that do not mix: float16 and bfloat16, or any in mode "error".

    Example:
        >>> import jax.numpy as jnp
        >>> promote(jnp.zeros(2, jnp.float16), jnp.zeros(2, jnp.bfloat16))
        Traceback (most recent call last):
        ...
        sciml_lux.precision._promotion.EltypeMismatchError: float16 and bfloat16 do not mix: ...
    """


def _common(left: np.dtype, right: np.dtype) -> np.dtype:
    if {left.name, right.name} == {"float16", "bfloat16"}:
        raise EltypeMismatchError(
            "float16 and bfloat16 do not mix: their common dtype would be float32, which neither "
            "side asked for. Convert one of them, for example with precision.bf16."
        )
    with jax.numpy_dtype_promotion("standard"):
        return jnp.dtype(jnp.promote_types(left, right))


def result_dtype(*arrays: HasDtype) -> np.dtype:
    """The dtype in which `arrays` are combined: the widest; weakly typed ones count in full.

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


def as_dtype(array: AnyArray, dtype: DTypeLike) -> Array:
    """`array` in `dtype`.

    NumPy casts its own integers: with x64 off, JAX would cut them to 32 bits first.

    Example:
        >>> import numpy as np
        >>> as_dtype(np.asarray([2**40]), jnp.float32).tolist()
        [1099511627776.0]
    """
    if isinstance(array, np.ndarray | np.generic) and jnp.issubdtype(array.dtype, jnp.integer):
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
    return jnp.asarray(array).astype(dtype)


def promote(*arrays: Array) -> tuple[Array, ...]:
    """`arrays` in their common dtype; each is widened or left as it is.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = promote(jnp.zeros(2, jnp.float16), jnp.zeros(2, jnp.float32))
        >>> x.dtype.name, y.dtype.name
        ('float32', 'float32')
    """
    if _agree(arrays):
        return arrays
    require_exact_floats(arrays, "an operand")
    dtype = result_dtype(*arrays)
    return tuple(a if a.dtype == dtype else as_dtype(a, dtype) for a in arrays)


def _agree(arrays: tuple[Array, ...]) -> bool:
    """Whether a quick look shows that there is nothing to do, as in nearly every call."""
    dtype = arrays[0].dtype
    return all([isinstance(a, jax.Array) and a.dtype == dtype for a in arrays])


def promote_floats(*trees: PyTree) -> tuple[PyTree, ...]:
    """`trees` with all their floating and complex arrays in one common dtype.

    For users' functions that combine the outputs of layers, such as the connection of a
    `SkipConnection`: under strict promotion JAX would refuse two dtypes there.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = promote_floats({"a": jnp.zeros(2, jnp.float16)}, jnp.zeros(2, jnp.float32))
        >>> x["a"].dtype.name
        'float32'
    """
    leaves, rebuild = floating_leaves(trees)
    if len({leaf.dtype for leaf in leaves if hasattr(leaf, "dtype")}) < 2:
        return trees
    arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype")]
    promoted = iter(promote(*arrays))
    return rebuild([next(promoted) if hasattr(leaf, "dtype") else leaf for leaf in leaves])
