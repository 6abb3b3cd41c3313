"""Data that JAX would change without a word are refused by name.

With x64 off JAX cuts numbers of 64 bits to 32; of a masked NumPy array it ignores the mask.
Three checks run before JAX computes, since afterwards nothing shows that digits were lost:

- `require_exact_dtype`: does JAX have this dtype, as it is?
- `require_exact_floats`: does it take the floating and complex leaves of a tree as they are? For
  data whose integers are promoted to floats with their value.
- `require_exact_numbers`: and the integers, which may be small numbers of a long dtype?
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ._types import Leaf
from ._x64 import x64_enabled

_WIDE_FLOATS = frozenset(map(np.dtype, ("float64", "complex128")))
_NUMPY = (np.ndarray, np.generic)
_PYTHON_NUMBERS = frozenset({bool, int, float, complex, type(None)})


def require_exact_dtype(dtype: DTypeLike, subject: str) -> None:
    """Raise unless JAX has `dtype`.

    Args:
        dtype: the dtype that was asked for or found.
        subject: what asked for it, the first words of the message.

    Raises:
        TypeError: JAX does not have it, or would cut it; names the switch or another remedy.

    Example:
        >>> import jax
        >>> with jax.enable_x64(False):
        ...     require_exact_dtype("float64", "`x`")
        Traceback (most recent call last):
        ...
        TypeError: `x` is float64, but jax_enable_x64 is off and JAX would cut it to float32. ...
    """
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        return  # Random keys.
    dtype = np.dtype(dtype)
    if foreign := _foreign(dtype):
        raise TypeError(f"{subject} is {foreign}")
    exact = jax.dtypes.canonicalize_dtype(dtype)
    if exact != dtype:
        raise TypeError(
            f"{subject} is {dtype}, but jax_enable_x64 is off and JAX would cut it to {exact}. "
            "Call jax.config.update('jax_enable_x64', True) before any array is made, "
            f"or convert to {exact} yourself."
        )


def require_exact_floats(tree: PyTree, subject: str) -> None:
    """Raise if a leaf of `tree` is float64 or complex128 while x64 is off.

    So are arrays of NumPy that JAX has no equivalent for: masked ones, and those of other byte
    orders, of long doubles, objects, text or dates.

    Args:
        tree: of arrays, numbers and anything else.
        subject: what the tree is, the first words of the message.

    Raises:
        TypeError: names the switch, or what to convert to, and the path of the leaf.

    Example:
        >>> import jax, numpy as np
        >>> with jax.enable_x64(False):
        ...     require_exact_floats({"w": np.ones(2)}, "`ps`")
        Traceback (most recent call last):
        ...
        TypeError: `ps`['w'], a NumPy array, is float64, but jax_enable_x64 is off ...
    """
    for where, leaf in _located(tree, _is_foreign if x64_enabled() else _is_foreign_or_wide):
        _refuse(leaf, f"{subject}{where}")


def require_exact_numbers(tree: PyTree, subject: str) -> None:
    """Raise as `require_exact_floats`, and if a NumPy integer does not fit in 32 bits.

    Args:
        tree: of arrays, numbers and anything else.
        subject: what the tree is, the first words of the message.

    Raises:
        TypeError: names the switch and the path of the leaf.

    Example:
        >>> import jax, numpy as np
        >>> with jax.enable_x64(False):
        ...     require_exact_numbers({"n": np.asarray([2**31 - 1])}, "`data`")
    """
    # This runs at every training step, whose data are nearly always JAX arrays.
    if all(map(is_plainly_exact, jax.tree.leaves(tree))):
        return
    require_exact_floats(tree, subject)
    for where, leaf in _located(tree, _is_cut_integer):
        exact = jax.dtypes.canonicalize_dtype(leaf.dtype)
        raise TypeError(
            f"{subject}{where} has {leaf.dtype} numbers that {exact} cannot hold, but "
            "jax_enable_x64 is off. Call jax.config.update('jax_enable_x64', True) before any "
            "array is made."
        )


def is_plainly_exact(value: object) -> bool:
    """Whether a quick look shows that JAX takes `value` as it is, as in nearly every call.

    Example:
        >>> import numpy as np
        >>> is_plainly_exact(1.0), is_plainly_exact(np.ones(2))
        (True, False)
    """
    if isinstance(value, jax.Array):
        return value.dtype not in _WIDE_FLOATS or x64_enabled()
    return type(value) in _PYTHON_NUMBERS


def _is_cut_integer(leaf: Leaf) -> bool:
    """Whether `leaf` has NumPy integers that JAX would cut."""
    if x64_enabled() or not isinstance(leaf, _NUMPY):
        return False
    exact = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return exact != leaf.dtype and bool((leaf.astype(exact) != leaf).any())


def _located(tree: PyTree, is_one: Callable[[Leaf], bool]) -> Iterator[tuple[str, Leaf]]:
    # This runs at every training step: without such a leaf no path is looked up.
    if any([is_one(leaf) for leaf in jax.tree.leaves(tree)]):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if is_one(leaf):
                yield jax.tree_util.keystr(path), leaf


def _is_foreign(leaf: Leaf) -> bool:
    return isinstance(leaf, _NUMPY) and (_is_masked(leaf) or _foreign(leaf.dtype) is not None)


def _is_foreign_or_wide(leaf: Leaf) -> bool:
    return getattr(leaf, "dtype", None) in _WIDE_FLOATS or _is_foreign(leaf)


def _is_masked(leaf: Leaf) -> bool:
    return isinstance(leaf, np.ma.MaskedArray)


def _foreign(dtype: np.dtype) -> str | None:
    """What a NumPy dtype is that JAX does not have, and the remedy."""
    if not dtype.isnative:
        return f"{dtype.str}, another byte order. Convert it: x.astype({dtype.name!r})."
    if dtype.type in (np.longdouble, np.clongdouble) and dtype not in _WIDE_FLOATS:
        narrow = "complex128" if dtype.kind == "c" else "float64"
        return f"{dtype}, a long double. Convert it: x.astype({narrow!r})."
    if dtype.kind in "OSUMm" or (dtype.type is np.void and dtype != jax.dtypes.float0):
        return f"{dtype}, which JAX does not have. Convert it to numbers."
    return None


def _refuse(leaf: Leaf, subject: str) -> None:
    if isinstance(leaf, _NUMPY):
        if _is_masked(leaf):
            raise TypeError(
                f"{subject} is a masked array, whose mask JAX would ignore. Fill it: "
                "x.filled(value)."
            )
        if foreign := _foreign(leaf.dtype):
            raise TypeError(f"{subject} is an array of {foreign}")
    kind = "a NumPy array" if isinstance(leaf, _NUMPY) else "a JAX array"
    kind = "a shape" if isinstance(leaf, jax.ShapeDtypeStruct) else kind
    require_exact_dtype(leaf.dtype, f"{subject}, {kind},")
