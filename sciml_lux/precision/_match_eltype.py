"""match_eltype: what happens where a layer's input and its parameters have different dtypes."""

import os
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ._promotion import EltypeMismatchError, as_dtype
from ._types import Leaf

MODES = ("none", "warn", "convert", "error")
VARIABLE = "SCIML_LUX_MATCH_ELTYPE"

# The table of Lux: for parameters of the first dtype, inputs of the others are converted. bfloat16
# is treated as float16. Other inputs are left to the layer, which promotes.
_CONVERTED = {
    "float32": frozenset({"float64"}),
    "float16": frozenset({"float64", "float32"}),
    "bfloat16": frozenset({"float64", "float32"}),
}


class EltypeMismatchWarning(UserWarning):
    """A layer's input has another dtype than its parameters.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", EltypeMismatchWarning)  # Raise in place of warning.
    """


def _checked_mode(mode: object, subject: str) -> str:
    if mode not in MODES:
        known = ", ".join(f'"{m}"' for m in MODES)
        raise ValueError(f"{subject} expects one of {known}, got {mode!r}.")
    return mode


# The mode of the process, and the mode of the context of this thread, or None. Both are part of the
# key of every compiled function, so that a change of the mode is never ignored.
_process = jax.make_user_context(_checked_mode(os.environ.get(VARIABLE, "none"), f"${VARIABLE}"))
_thread = jax.make_user_context(None)
# JAX's key belongs to the thread, which asyncio tasks share. This belongs to the task.
_mode: ContextVar[str | None] = ContextVar("mode", default=None)
_warned_in_process: set[tuple[Hashable, ...]] = set()
_warned: ContextVar[set[tuple[Hashable, ...]]] = ContextVar("warned", default=_warned_in_process)


def match_eltype_mode() -> str:
    """The mode in force: "none", "warn", "convert" or "error".

    Raises:
        RuntimeError: a function is being compiled for the mode of another asyncio task or thread.

    Example:
        >>> with match_eltype("warn"):
        ...     match_eltype_mode()
        'warn'
    """
    mode, of_thread = (found or _process.value for found in (_mode.get(), _thread.value))
    if mode != of_thread and is_compiling():
        raise RuntimeError(
            f"`match_eltype`: a function is compiled for the mode {of_thread!r} of this thread, "
            f"but is called in the mode {mode!r}: that was entered in another thread, or another "
            "asyncio task has run since. Enter `match_eltype` where the function is called, after "
            "the last `await`."
        )
    return mode


def set_match_eltype(mode: str) -> None:
    """Set the mode of `match_eltype` for the whole process.

    Raises:
        ValueError: there is no such mode.

    Example:
        >>> set_match_eltype("none")
        >>> match_eltype_mode()
        'none'
    """
    _process.set_global(_checked_mode(mode, "`set_match_eltype`"))
    _warned_in_process.clear()


@contextmanager
def match_eltype(mode: str) -> Iterator[None]:
    """Within the context, treat inputs of another dtype than a layer's parameters by `mode`.

    - "none" (the default): promote, so that nothing is narrowed.
    - "warn": promote, with one warning in each context for each layer of a model and pair of
      dtypes; a function that is compiled already does not warn again.
    - "convert": convert inputs of float64 to float32 parameters, inputs of float64 and float32 to
      float16 or bfloat16 parameters, and integers to any; promote the rest.
    - "error": any difference is an error.

    In every mode integers are promoted to the parameters' dtype (in "error" they are an error),
    booleans are an error, and so is float16 with bfloat16. Layers that take indices are exempt, and
    wrappers leave floats to the layer inside. The mode is part of the key under which JAX caches
    compiled functions. `set_match_eltype` and the environment variable SCIML_LUX_MATCH_ELTYPE set
    it too.

    Each asyncio task has its own mode, but JAX's key belongs to the thread: an `await` inside the
    context lets other tasks call what is compiled for this mode. Enter it after the last `await`.

    Source: `match_eltype` and the preference `eltype_mismatch_handling` of Lux 1.31.

    Raises:
        ValueError: there is no such mode.

    Example:
        >>> with match_eltype("error"):
        ...     match_eltype_mode()
        'error'
    """
    before, warned = _mode.get(), _warned.get()
    _mode.set(_checked_mode(mode, "`match_eltype`"))
    _warned.set(set())
    _tell_jax()
    try:
        yield
    finally:
        # Without tokens: a generator may be closed in another context than it was started in.
        _mode.set(before)
        _warned.set(warned)
        _tell_jax()


def _tell_jax() -> None:
    """Set the thread's mode to that of this context; another task may have changed it."""
    _thread(_mode.get()).__enter__()


def is_compiling() -> bool:
    """Whether this runs inside of `jax.jit` or another trace to a program."""
    return isinstance(jnp.zeros((), bool), Tracer)


def match_input(
    x: PyTree,
    dtype: np.dtype,
    subject: Callable[[], str],
    *,
    model: Callable[[], Hashable] = lambda: None,
    only: str = "",
) -> PyTree:
    """The input of a layer whose parameters have `dtype`, as the mode in force treats it.

    Args:
        x: a tree; leaves that are not arrays are left alone.
        dtype: the dtype of the layer's own parameters.
        subject: returns the name of the layer for a message; called only if there is one.
        model: returns the model that the layer is part of; each model is warned about once.
        only: "floats" leaves integers and booleans alone, "integers" leaves floats alone.

    Raises:
        EltypeMismatchError: the dtypes differ in mode "error", or are float16 and bfloat16.
        TypeError: a leaf is boolean.

    Example:
        >>> import jax.numpy as jnp
        >>> indices = jnp.arange(2, dtype=jnp.int32)
        >>> match_input(indices, jnp.dtype(jnp.float32), lambda: "`Dense`").dtype.name
        'float32'
    """
    return jax.tree.map(lambda leaf: _match_leaf(leaf, dtype, subject, model, only), x)


def _match_leaf(
    leaf: Leaf,
    dtype: np.dtype,
    subject: Callable[[], str],
    model: Callable[[], Hashable],
    only: str,
) -> Leaf:
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic) or leaf.dtype == dtype:
        return leaf
    if leaf.dtype == jnp.bool_ and only != "floats":
        raise TypeError(
            f"{subject()} expects `x` to be numbers, got boolean of shape {leaf.shape}. Cast it: "
            f"x.astype({dtype.name})."
        )
    is_integer = jnp.issubdtype(leaf.dtype, jnp.integer)
    if not is_integer and not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return leaf  # A random key, for example.
    if only == ("floats" if is_integer else "integers"):
        return leaf
    wanted = jnp.finfo(dtype).dtype
    real = leaf.dtype if is_integer else jnp.finfo(leaf.dtype).dtype
    if real == wanted:
        return leaf  # Complex against its own real part loses nothing.
    halves = {real.name, wanted.name} == {"float16", "bfloat16"}
    mode = match_eltype_mode()
    if halves or mode == "error":
        raise EltypeMismatchError(
            f"{subject()} has parameters of {dtype.name} and got `x` of {leaf.dtype.name}. Convert "
            f"one of them, for example x.astype({dtype.name})"
            + (": their common dtype would be float32." if halves else ", or leave mode 'error'.")
        )
    if mode == "warn":
        _warn_once(model(), subject(), dtype.name, leaf.dtype.name)
    narrows = mode == "convert" and real.name in _CONVERTED.get(wanted.name, ())
    if is_integer or narrows:
        return as_dtype(leaf, _in_kind(leaf.dtype, wanted))
    return leaf


def _in_kind(dtype: np.dtype, real: np.dtype) -> np.dtype:
    """`real`, or the complex dtype over it where `dtype` is complex."""
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return real
    return jnp.dtype(jnp.complex128 if real == jnp.float64 else jnp.complex64)


def _warn_once(model: Hashable, subject: str, of_parameters: str, of_input: str) -> None:
    key, warned = (model, subject, of_parameters, of_input), _warned.get()
    if key in warned:
        return
    warned.add(key)
    warnings.warn(
        f"{subject} has parameters of {of_parameters} and got `x` of {of_input}; the result is in "
        "the wider of the two. Convert one of them, or leave mode 'warn'.",
        EltypeMismatchWarning,
        stacklevel=2,
    )
