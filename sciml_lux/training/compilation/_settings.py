"""The settings of a model or an optimiser, as far as they can be read."""

import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator
from typing import Any

from ._digest import words

_MOST = 100
_PLAIN = (bool, int, float, complex, str, type(None))


def settings_of(**roots: object) -> dict[str, str]:
    """Names and values as text: fields of layers, and what the functions of optax close over.

    Every object is read once, under the first name it has. Initialisers are left out, since a
    resumed fit initialises nothing.

    Example:
        >>> import optax
        >>> from sciml_lux import nn
        >>> settings_of(model=nn.Scale(2))["model.dims"]
        '(2)'
        >>> list(settings_of(optimizer=optax.scale(0.1)).items())[-1]
        ('optimizer.update.step_size', '0.1')
    """
    return dict(_entries([*roots.items()], set()))


def first_changed(before: dict[str, str], after: dict[str, str]) -> str | None:
    """The first setting of `after` that differs, as text; None where there is none.

    Example:
        >>> first_changed({"model.rate": "1"}, {"model.rate": "2"})
        '`model.rate` was 1, is now 2'
    """
    for path, now in after.items():
        was = before.get(path, "not there")
        if was != now:
            root, _, name = path.partition(".")
            subject = f"`{path}`"
            if root == "optimizer" and name:
                subject = f"`{name.rpartition('.')[2]}` of the optimiser"
            return f"{subject} was {was}, is now {now}"
    return None


def closed_over(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Names and values of the variables that `function` closes over."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [(name, cell.cell_contents) for name, cell in cells if _is_filled(cell)]


def _entries(parts: list[tuple[str, object]], seen: set[int]) -> Iterator[tuple[str, str]]:
    for path, value in parts:
        is_initial = path.rpartition(".")[2].startswith("init")
        if is_initial and (value is None or callable(value)):
            continue
        inner = None if isinstance(value, _PLAIN) else _parts(value)
        if inner is None:
            yield path, _short(words(value))
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if not isinstance(value, tuple | list | dict):
            yield path, getattr(value, "__qualname__", type(value).__qualname__)
        yield from _entries([(f"{path}.{name}", part) for name, part in inner], seen)


def _short(text: str) -> str:
    if len(text) <= _MOST:
        return text
    return f"{text[:_MOST]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"


def _parts(value: object) -> list[tuple[str, Any]] | None:
    """The named parts of `value`, or None if it has no parts."""
    if isinstance(value, functools.partial):
        arguments = enumerate(value.args, 1)
        return [("func", value.func), *((str(i), a) for i, a in arguments), *value.keywords.items()]
    if isinstance(value, types.MethodType):
        return [("self", value.__self__), ("func", value.__func__)]
    if isinstance(value, types.FunctionType):
        return closed_over(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value)]
    if isinstance(value, dict):
        return [(words(name), entry) for name, entry in value.items()]
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)):
        return list(zip(names, value, strict=True))
    if isinstance(value, tuple | list) and not all(isinstance(part, _PLAIN) for part in value):
        return [_named(index, part) for index, part in enumerate(value, 1)]
    return None


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # A function that closes over its own name, while it is being defined.
        return False


def _named(index: int, part: object) -> tuple[str, Any]:
    """An entry of a tuple with a name; of a pair of name and value, its own."""
    if type(part) is tuple and len(part) == 2 and isinstance(part[0], str):
        return part
    return str(index), part
