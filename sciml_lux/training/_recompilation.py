"""RecompilationWarning: the same code, compiled again because it stands in another function."""

import functools
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax

from ._structure import Structure
from ._weak_key import Identity, NotReferableError, entries, weak_key

_INSIDE = frozenset({"sciml_lux", "jax", "contextlib"})


class RecompilationWarning(UserWarning):
    """The same code is compiled again for the same model, shapes and dtypes."""


def note_tracing(build: Callable[..., Any], statics: tuple[Any, ...], arguments: Any) -> None:
    """Warn of code that was traced before for the same model and arguments, in another object."""
    try:
        _note(build, statics, arguments)
    except NotReferableError:
        return  # It is compiled at every call, which was said.


def _note(build: Callable[..., Any], statics: tuple[Any, ...], arguments: Any) -> None:
    others = [value for value in statics if not isinstance(value, Structure)]
    models = [weak_key(value.model) for value in statics if isinstance(value, Structure)]
    leaves = jax.tree.leaves(arguments)
    shapes = tuple((jax.numpy.shape(leaf), jax.numpy.result_type(leaf)) for leaf in leaves)
    plain = [value for value in others if not list(_codes(value))]
    signature = (build, *models, *map(weak_key, plain), shapes)
    for code, owner in (found for value in others for found in _codes(value)):
        last = _last(Identity(code), signature)
        key = weak_key(owner)
        if last and last[0] != key:
            warnings.warn(
                f"`{code.co_name}` ({code.co_filename}:{code.co_firstlineno}) is compiled again "
                "for the same model, shapes and dtypes, because it is another object than before: "
                "functions are looked up by identity, as in `jax.jit`. Build it once, and pass "
                "what changes in `data`.",
                RecompilationWarning,
                stacklevel=user_stacklevel(),
            )
        last[:] = [key]


def user_stacklevel() -> int:
    """The `stacklevel` of the nearest caller outside this package and JAX."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level


@functools.lru_cache(maxsize=1024)
def _last(code: Identity, signature: tuple[Any, ...]) -> list[Any]:
    """The key of what was last traced; filled by the caller."""
    return []


def _codes(value: Any) -> Iterator[tuple[types.CodeType, Any]]:
    """The code in `value` that belongs to objects compared by themselves, and these objects."""
    inside = entries(value)
    if inside is not None:
        for entry in inside:
            yield from _codes(entry)
        return
    code = _code(value)
    if code is not None:
        yield code, value


def _code(function: Any) -> types.CodeType | None:
    """The code of a function, or of `__call__` of an object; None for what C or no code calls."""
    while isinstance(function, functools.partial):
        function = function.func
    if not callable(function) or isinstance(function, type):
        return None
    function = inspect.unwrap(function)
    called = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(called, "__code__", None)
