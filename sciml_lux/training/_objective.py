"""Objectives as keys: which of them are the same function, written anew."""

import enum
import functools
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ..core import Frozen

_WARN_AT = 4
_compiled: Counter[types.CodeType] = Counter()

# Objects of these packages are not changed once they are made.
_UNCHANGING = {"diffrax", "equinox", "functools", "jax", "jaxlib", "lineax", "optax", "optimistix"}
_LIBRARIES = _UNCHANGING | {"builtins", "jaxtyping", "math", "numpy", "operator", "scipy"}
_PLAIN = (int, bool, str, bytes, type(None))
_CODE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, np.ufunc)
_VALUES = (Frozen, jax.Array, np.generic, np.dtype, enum.Enum, range, slice, type(...))
_FIXED = (*_CODE, *_VALUES)


class RecompilationWarning(UserWarning):
    """The same function was built many times over other values, and compiled each time."""


class ObjectiveKey:
    """A function by what it does: its code, and what every name in it means now.

    A lambda that is written in a loop is another function each time; without this it would be
    compiled each time. Where it reads something that may change in place, such as a dict, it counts
    as the same only if it is the same object.

    Attributes:
        function: a copy, whose variables stay as they are now: it may be traced again later.
    """

    __slots__ = ("_parts", "function")

    def __init__(self, function: Callable[..., Any], parts: tuple[Any, ...]) -> None:
        self.function, self._parts = function, parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectiveKey) and self._parts == other._parts


def objective_key(objective: Any) -> Any:
    """What to look `objective` up by: itself, or for functions and partials an `ObjectiveKey`.

    Raises:
        TypeError: it is no function, or an object that cannot be hashed.
    """
    if isinstance(objective, Frozen):  # The losses; first, since a step takes so little time.
        return objective
    if isinstance(objective, types.FunctionType | functools.partial):
        return ObjectiveKey(_kept(objective), _Reading(objective).parts)
    if not callable(objective):
        raise TypeError(
            "the objective must be a function (model, ps, st, data) -> loss, st, stats, got "
            f"{type(objective).__name__}. The order is (tstate, objective, data) for `fit`, "
            "(ad, objective, data, tstate) for a step."
        )
    try:
        hash(objective)
    except TypeError:
        raise TypeError(
            f"the objective, a {type(objective).__name__}, must be hashable, since it is compiled "
            "once and looked up later. Make its class a frozen dataclass, or pass a function."
        ) from None
    return objective


def objective_of(key: Any) -> Callable[..., Any]:
    """The function behind a key."""
    return key.function if isinstance(key, ObjectiveKey) else key


@functools.lru_cache(maxsize=1024)
def note_compilation(key: Any) -> None:
    """Count an objective when it is first compiled; other models and data compile it again.

    Warns once where one piece of code is built, and compiled, over ever other values.
    """
    code = _code(objective_of(key))
    if code is None:
        return
    _compiled[code] += 1
    if _compiled[code] == _WARN_AT:
        warnings.warn(
            f"the objective `{code.co_name}` ({code.co_filename}:{code.co_firstlineno}) was built "
            f"{_WARN_AT} times over other values and compiled each time. Build it once before the "
            "loop, and pass what changes as part of `data`.",
            RecompilationWarning,
            stacklevel=4,
        )


class _Same:
    """An object as a key by identity; held, so that no other object can come to its place."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __hash__(self) -> int:
        return id(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value


class _Reading:
    """What an objective reads, as a key.

    Attributes:
        parts: equal for two functions that do the same.
    """

    def __init__(self, objective: Any) -> None:
        self._globals: dict[str, Any] = getattr(_innermost(objective), "__globals__", {})
        self._open: list[Any] = []
        self._may_change = False
        parts = self._meaning(objective)
        self.parts = (parts, _Same(objective)) if self._may_change else (parts,)

    def _meaning(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return kind, value
        if kind in (float, complex):
            return kind, repr(value)  # -0.0 is not 0.0, and NaN is NaN.
        if isinstance(value, tuple | frozenset):
            return kind, *map(self._meaning, value)
        if kind is types.MethodType:
            return kind, self._meaning(value.__func__), self._meaning(value.__self__)
        if kind is functools.partial:
            arguments = (*value.args, *value.keywords.items())
            return kind, self._meaning(value.func), *map(self._meaning, arguments)
        if kind is types.FunctionType and value.__globals__ is self._globals:
            return self._meaning_of_function(value)
        if not (isinstance(value, _FIXED) or _package(kind) in _UNCHANGING):
            self._may_change = True
        return _Same(value)

    def _meaning_of_function(self, function: types.FunctionType) -> Any:
        if any(function is other for other in self._open):  # It calls itself.
            self._may_change = True
            return _Same(function)
        self._open.append(function)
        names = _names(function.__code__)
        values = [*_variables(function), *self._globals_of(names)]
        # Settings that live in a module or a class are read through it.
        namespaces = [v for v in values if _is_namespace(v)]
        values += [vars(n)[name] for n in namespaces for name in names if name in vars(n)]
        meanings = [self._meaning(value) for value in values]
        self._open.pop()
        return function.__code__, *meanings

    def _globals_of(self, names: tuple[str, ...]) -> list[Any]:
        return [self._globals[name] for name in names if name in self._globals]


def _variables(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        yield _contents(cell)
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def _kept(value: Any) -> Any:
    """A function with variables of its own, which no one binds anew."""
    if type(value) is functools.partial:
        return functools.partial(_kept(value.func), *map(_kept, value.args), **value.keywords)
    if type(value) is not types.FunctionType or not value.__closure__:
        return value
    cells = tuple(types.CellType(*_filled(cell, value)) for cell in value.__closure__)
    copy = types.FunctionType(
        value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
    )
    copy.__kwdefaults__ = value.__kwdefaults__
    return copy


def _filled(cell: Any, owner: Any) -> tuple[Any, ...]:
    contents = _contents(cell)
    if contents is cell:
        return ()
    return (contents if contents is owner else _kept(contents),)


def _is_namespace(value: Any) -> bool:
    """Whether it is a module or class of the user's."""
    return isinstance(value, types.ModuleType | type) and _package(value) not in _LIBRARIES


def _package(value: Any) -> str:
    """The package of a module or class."""
    name = value.__name__ if isinstance(value, types.ModuleType) else value.__module__
    return name.partition(".")[0]


@functools.lru_cache(maxsize=1024)
def _names(code: types.CodeType) -> tuple[str, ...]:
    """The names that are no local variables, of a function and those inside it."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return (*code.co_names, *(name for c in inner for name in _names(c)))


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # Not filled yet: a function that closes over its own name.
        return cell


def _innermost(objective: Any) -> Any:
    """The function below all partial ones."""
    while isinstance(objective, functools.partial):
        objective = objective.func
    return objective


def _code(objective: Any) -> types.CodeType | None:
    return getattr(_innermost(objective), "__code__", None)
