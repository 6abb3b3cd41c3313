"""Data that JAX would change without a word are refused by name.

With x64 off JAX cuts float64 to float32; of a masked NumPy array it ignores the mask.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ._types import Leaf

_WIDE = frozenset({"float64", "complex128"})
_WIDE_DTYPES = frozenset(map(np.dtype, _WIDE))
_NUMPY = (np.ndarray, np.generic)
_ATOMS = frozenset({bool, int, float, complex, type(None)})

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def x64_enabled() -> bool:
    """Whether JAX has float64, by its switch or by the context of this thread.

    Example:
        >>> import jax
        >>> with jax.enable_x64(False):
        ...     x64_enabled()
        False
    """
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def require_x64(dtype: DTypeLike, subject: str) -> None:
    """Raise if `dtype` is float64 or complex128 while `jax_enable_x64` is off.

    Args:
        dtype: the dtype that was asked for or found.
        subject: what asked for it, the first words of the message.

    Raises:
        TypeError: names the switch. JAX itself would continue in float32.

    Example:
        >>> import jax
        >>> with jax.enable_x64(False):
        ...     require_x64("float64", "`dtype`")
        Traceback (most recent call last):
        ...
        TypeError: `dtype` is float64, but jax_enable_x64 is off ...
    """
    name = np.dtype(dtype).name
    if name in _WIDE and not x64_enabled():
        narrow = {"float64": "float32", "complex128": "complex64"}[name]
        raise TypeError(
            f"{subject} is {name}, but jax_enable_x64 is off and JAX would cut it to {narrow}. "
            "Call jax.config.update('jax_enable_x64', True) before any array is made, "
            f"or convert to {narrow} yourself."
        )


def require_x64_for(tree: PyTree, subject: str) -> None:
    """Raise if a leaf of `tree` is float64 or complex128 while x64 is off.

    This is checked before JAX computes with the tree, since afterwards nothing shows that digits
    were lost. NumPy arrays without an equivalent in JAX are refused as well: masked arrays, and
    arrays of another byte order, of long doubles, objects, text or dates.

    Raises:
        TypeError: names the switch, or what to convert to, and the path of the leaf.

    Example:
        >>> import jax, numpy as np
        >>> with jax.enable_x64(False):
        ...     require_x64_for({"w": np.ones(2)}, "`ps`")
        Traceback (most recent call last):
        ...
        TypeError: `ps`['w'], a NumPy array, is float64, but jax_enable_x64 is off ...
    """
    for where, leaf in _refused(tree):
        _refuse(leaf, f"{subject}{where}")


def require_uncut(tree: PyTree, subject: str) -> None:
    """Raise if JAX would cut a number of `tree`: float64 with x64 off, or a long integer.

    Raises:
        TypeError: names the switch and the path of the leaf.

    Example:
        >>> import jax, numpy as np
        >>> with jax.enable_x64(False):
        ...     require_uncut({"n": np.asarray([2**31 - 1])}, "`data`")
    """
    leaves, wide = jax.tree.leaves(tree), not x64_enabled() and _WIDE_DTYPES
    # This runs at every training step, whose data are nearly always JAX arrays.
    if all([isinstance(a, jax.Array) and not (wide and a.dtype in wide) for a in leaves]):
        return
    require_x64_for(tree, subject)
    for where, leaf in _located(tree, _is_cut_integer):
        held = jax.dtypes.canonicalize_dtype(leaf.dtype)
        raise TypeError(
            f"{subject}{where} has {leaf.dtype} numbers that {held} cannot hold, but "
            "jax_enable_x64 is off. Call jax.config.update('jax_enable_x64', True) before any "
            "array is made."
        )


def require_x64_of(
    *names: str,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator that calls `require_x64_for` on the named arguments before the function.

    Args:
        names: the arguments that are data. Leave settings out: a NumPy scalar there means a Python
            number.

    Raises:
        TypeError: at a call; names the switch, the function and the argument.

    Example:
        >>> import jax, numpy as np
        >>> @require_x64_of("x")
        ... def double(x):
        ...     return 2 * x
        >>> with jax.enable_x64(False):
        ...     double(np.ones(2))
        Traceback (most recent call last):
        ...
        TypeError: `double`: `x`, a NumPy array, is float64, but jax_enable_x64 is off ...
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        places = [(name, _place(function, name)) for name in names]

        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            for name, place in places:
                given = args[place] or (kwargs.get(name),)
                if not all([_passes(value) for value in given]):
                    data = given if place.stop is None else given[0]
                    require_x64_for(data, f"`{function.__name__}`: `{name}`")
            return function(*args, **kwargs)

        return checked

    return decorate


def _place(function: Callable, name: str) -> slice:
    """The place of the argument among positional ones; an empty slice if it is keyword-only."""
    parameters = inspect.signature(function).parameters
    index, kind = list(parameters).index(name), parameters[name].kind
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return slice(index, None)
    return slice(index, index + (kind is not inspect.Parameter.KEYWORD_ONLY))


def _passes(value: object) -> bool:
    """Whether a quick look shows that nothing is refused, as in nearly every call."""
    if isinstance(value, jax.Array):
        return x64_enabled() or value.dtype not in _WIDE_DTYPES
    return type(value) in _ATOMS


def _refused(tree: PyTree) -> Iterator[tuple[str, Leaf]]:
    """The leaves that are refused, with their paths."""
    return _located(tree, _is_unknown if x64_enabled() else _is_unknown_or_wide)


def _located(tree: PyTree, is_one: Callable[[Leaf], bool]) -> Iterator[tuple[str, Leaf]]:
    # This runs at every training step: without such a leaf no path is looked up.
    if any([is_one(leaf) for leaf in jax.tree.leaves(tree)]):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if is_one(leaf):
                yield jax.tree_util.keystr(path), leaf


def _is_unknown(leaf: Leaf) -> bool:
    return isinstance(leaf, _NUMPY) and _unknown(leaf) is not None


def _is_unknown_or_wide(leaf: Leaf) -> bool:
    return getattr(leaf, "dtype", None) in _WIDE_DTYPES or _is_unknown(leaf)


def _is_cut_integer(leaf: Leaf) -> bool:
    if x64_enabled() or not isinstance(leaf, _NUMPY):
        return False
    held = jax.dtypes.canonicalize_dtype(leaf.dtype)
    return held != leaf.dtype and bool((leaf.astype(held) != leaf).any())


def _unknown(leaf: np.ndarray | np.generic) -> tuple[str, str] | None:
    """What JAX does not support about a NumPy array, and the remedy."""
    dtype = leaf.dtype
    if isinstance(leaf, np.ma.MaskedArray):
        return "a masked array, whose mask JAX would ignore", "Fill it: x.filled(value)"
    if not dtype.isnative:
        return (
            f"an array of {dtype.str}, another byte order",
            f"Convert it: x.astype({dtype.name!r})",
        )
    if dtype.type in (np.longdouble, np.clongdouble) and dtype.name not in _WIDE:
        narrow = "complex128" if dtype.kind == "c" else "float64"
        return f"an array of {dtype.name}, a long double", f"Convert it: x.astype({narrow!r})"
    if dtype.kind in "OSUMm" or (dtype.type is np.void and dtype != jax.dtypes.float0):
        return f"an array of {dtype}, which are not numbers", "Convert it to numbers"
    return None


def _refuse(leaf: Leaf, subject: str) -> None:
    unknown = _unknown(leaf) if isinstance(leaf, _NUMPY) else None
    if unknown is not None:
        raise TypeError(f"{subject} is {unknown[0]}. {unknown[1]}.")
    kind = "a NumPy array" if isinstance(leaf, _NUMPY) else "a JAX array"
    kind = "a shape" if isinstance(leaf, jax.ShapeDtypeStruct) else kind
    require_x64(leaf.dtype, f"{subject}, {kind},")


def resolve_dtype(dtype: DTypeLike | None, subject: str = "`dtype`") -> np.dtype:
    """`dtype` as a floating or complex NumPy dtype; float64 needs x64 on.

    Args:
        dtype: a dtype, a scalar type such as `jnp.float64`, or a name such as `"float64"`.
        subject: the first words of the message.

    Raises:
        TypeError: not a floating or complex dtype, or float64 while `jax_enable_x64` is off.

    Example:
        >>> import jax.numpy as jnp
        >>> resolve_dtype(jnp.float32).name
        'float32'
    """
    try:
        resolved = None if dtype is None else jnp.dtype(dtype)
    except TypeError:
        resolved = None
    if resolved is None or not jnp.issubdtype(resolved, jnp.inexact):
        raise TypeError(
            f"{subject} must be a floating or complex dtype, got {dtype!r}. "
            "Pass for example jnp.float32 or jnp.float64."
        )
    require_x64(resolved, subject)
    return resolved
