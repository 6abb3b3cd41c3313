"""Float64 is asked for by name or not at all: with x64 off, JAX cuts it to float32 in silence."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

_WIDE = frozenset({"float64", "complex128"})
_NUMPY = (np.ndarray, np.generic)
_UNCHECKED = (*_NUMPY, jax.ShapeDtypeStruct)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def x64_enabled() -> bool:
    """Whether JAX has float64, by its switch or by the context of this thread."""
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def require_x64(dtype: Any, subject: str) -> None:
    """Raise if `dtype` is float64 or complex128 while `jax_enable_x64` is off.

    Args:
        dtype: what was asked for or found.
        subject: what asked for it; opens the message.

    Raises:
        TypeError: names the switch. JAX itself would go on in float32.
    """
    name = np.dtype(dtype).name
    if name in _WIDE and not x64_enabled():
        narrow = {"float64": "float32", "complex128": "complex64"}[name]
        raise TypeError(
            f"{subject} is {name}, but jax_enable_x64 is off and JAX would cut it to {narrow}. "
            "Call jax.config.update('jax_enable_x64', True) before any array is made, "
            f"or convert to {narrow} yourself."
        )


def require_x64_for(tree: Any, subject: str) -> None:
    """Raise if a leaf of `tree` is float64 or complex128 while x64 is off.

    Data of NumPy, and `jax.ShapeDtypeStruct`, are checked before JAX sees them, since afterwards
    the lost digits leave no trace.

    Raises:
        TypeError: names the switch and the path of the leaf.
    """
    for where, leaf in _unchecked(tree):
        _require_x64_for_leaf(leaf, f"{subject}{where}")


def require_kept(tree: Any, subject: str) -> None:
    """Raise if JAX would cut a number of `tree`: as `require_x64_for`, and integers of 64 bits.

    Raises:
        TypeError: names the switch and the path of the leaf.

    Example:
        >>> import jax, numpy as np
        >>> with jax.enable_x64(False):
        ...     require_kept({"n": np.asarray([2**31 - 1])}, "`data`")
    """
    for where, leaf in _unchecked(tree):
        _require_x64_for_leaf(leaf, f"{subject}{where}")
        held = jax.dtypes.canonicalize_dtype(leaf.dtype)
        if isinstance(leaf, _NUMPY) and held != leaf.dtype and (leaf.astype(held) != leaf).any():
            raise TypeError(
                f"{subject}{where} has {leaf.dtype} numbers that {held} cannot hold, but "
                "jax_enable_x64 is off. Call jax.config.update('jax_enable_x64', True) before any "
                "array is made."
            )


def require_x64_of(
    *names: str,
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator: the function with `require_x64_for` before it, for the arguments named.

    Args:
        names: of the arguments that are data. Settings stay out: as NumPy scalars they stand for
            Python numbers.

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
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if not x64_enabled():
                given = signature.bind(*args, **kwargs).arguments
                for name in names:
                    require_x64_for(given.get(name), f"`{function.__name__}`: `{name}`")
            return function(*args, **kwargs)

        return checked

    return decorate


def _require_x64_for_leaf(leaf: Any, subject: str) -> None:
    if leaf.dtype.name in _WIDE:
        kind = "a NumPy array" if isinstance(leaf, _NUMPY) else "a shape"
        require_x64(leaf.dtype, f"{subject}, {kind},")


def _unchecked(tree: Any) -> Iterator[tuple[str, Any]]:
    """The leaves that JAX has not cut yet, with their paths, if it would cut any."""
    # Asked at every training step: without such leaves nothing else is looked at.
    if any([isinstance(leaf, _UNCHECKED) for leaf in jax.tree.leaves(tree)]) and not x64_enabled():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if isinstance(leaf, _UNCHECKED):
                yield jax.tree_util.keystr(path), leaf


def resolve_dtype(dtype: Any, subject: str = "`dtype`") -> np.dtype:
    """The floating or complex NumPy dtype meant by `dtype`; float64 needs x64 on.

    Args:
        dtype: a dtype, a scalar type such as `jnp.float64`, or a name such as `"float64"`.
        subject: what the message speaks of.

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
