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
    parts = [part for value in others for part in _parts(value)]
    plain = [weak_key(part) for part in parts if _code(part) is None]
    owners = [(code, weak_key(part)) for part in parts if (code := _code(part)) is not None]
    # A solver may hold several functions of one code, so all are compared, each in its place.
    last = _last(build, *models, *plain, *(Identity(code) for code, _ in owners), shapes)
    for (code, key), before in zip(owners, last or [key for _, key in owners], strict=True):
        if before != key:
            warnings.warn(
                f"`{code.co_name}` ({code.co_filename}:{code.co_firstlineno}) is compiled again "
                "for the same model, shapes and dtypes, because it is another object than before: "
                "functions are looked up by identity, as in `jax.jit`. Build it once, and pass "
                "what changes in `data`.",
                RecompilationWarning,
                stacklevel=user_stacklevel(),
            )
    last[:] = [key for _, key in owners]


def user_stacklevel() -> int:
    """The `stacklevel` of the nearest caller outside this package and JAX."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level


@functools.lru_cache(maxsize=1024)
def _last(*signature: Any) -> list[Any]:
    """The keys of what was last traced; filled by the caller."""
    return []


def _parts(value: Any) -> Iterator[Any]:
    """What `value` is made of, down to what is one thing, and the types of what holds it."""
    inside = entries(value)
    if inside is None:
        yield value
        return
    yield type(value)
    for entry in inside:
        yield from _parts(entry)


def _code(function: Any) -> types.CodeType | None:
    """The code of a function, or of `__call__` of an object; None for what C or no code calls."""
    while isinstance(function, functools.partial):
        function = function.func
    if not callable(function) or isinstance(function, type):
        return None
    function = inspect.unwrap(function)
    called = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(called, "__code__", None)
