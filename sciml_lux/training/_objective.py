"""Objectives as keys: which of them are the same function, written anew."""

import functools
import types
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

_WARN_AT = 4
_compiled: Counter[types.CodeType] = Counter()


class RecompilationWarning(UserWarning):
    """The same function was built many times over other values, and compiled each time."""


class ObjectiveKey:
    """A function by what it does: its code, and the very objects it closes over.

    A lambda that is written in a loop is another function each time; without this it would be
    compiled each time.
    """

    __slots__ = ("_parts", "function")

    def __init__(self, function: Callable[..., Any], parts: tuple[Any, ...]) -> None:
        self.function, self._parts = function, parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectiveKey) and self._parts == other._parts


def objective_key(objective: Callable[..., Any]) -> Any:
    """What to look `objective` up by: itself, or for functions and partials an `ObjectiveKey`."""
    parts = _parts(objective)
    return objective if parts is None else ObjectiveKey(objective, parts)


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


def _parts(objective: Any) -> tuple[Any, ...] | None:
    if type(objective) is types.FunctionType:
        cells = [_contents(cell) for cell in objective.__closure__ or ()]
        defaults = [*(objective.__defaults__ or ()), *(objective.__kwdefaults__ or {}).values()]
        held = [_Same(value) for value in (objective.__globals__, *cells, *defaults)]
        return (objective.__code__, *held)
    if type(objective) is functools.partial:
        inner = _parts(objective.func) or (objective.func,)
        named = [(name, _Same(value)) for name, value in objective.keywords.items()]
        return (*inner, *map(_Same, objective.args), *named)
    return None


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # Not filled yet: a function that closes over its own name.
        return cell


def _code(objective: Any) -> types.CodeType | None:
    while isinstance(objective, functools.partial):
        objective = objective.func
    return getattr(objective, "__code__", None)
