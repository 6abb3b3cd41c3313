"""Frozen: a class that is a value. Layers, losses and AD choices are all such values."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import jax

from ..precision import python_numbers

# Types that need no look when an object is built, which loops do at every training step.
_ATOMS = frozenset({bool, int, float, str, type(None), FunctionType})


def _static_key(value: Any) -> Any:
    """What equality of a field means: the value *and* its type.

    `1 == 1.0 == True` and `0.0 == -0.0` in Python, yet each traces to another program.
    """
    if isinstance(value, float):
        return (float, value.hex())
    if isinstance(value, complex):
        return (complex, value.real.hex(), value.imag.hex())
    if isinstance(value, tuple):
        return (type(value), *map(_static_key, value))
    return (type(value), value)


def same(value: Any, other: Any) -> bool:
    """Whether two fields are equal as static values: in value and in type."""
    return _static_key(value) == _static_key(other)


def _is_named(value: Any) -> bool:
    if type(value) is not tuple or len(value) != 2:
        return False
    return isinstance(value[0], str) and not isinstance(value[1], str)  # Two names are no entry.


def typed(value: Any) -> str:
    """`value` as one would type it; pairs of name and value, which stand for a dict, as a dict."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        if value and all(map(_is_named, value)):
            return "{" + ", ".join(f"{name!r}: {typed(entry)}" for name, entry in value) + "}"
        inner = ", ".join(map(typed, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, functools.partial):
        options = [f"{name}={typed(entry)}" for name, entry in value.keywords.items()]
        return f"partial({', '.join([*map(typed, (value.func, *value.args)), *options])})"
    if isinstance(value, type | Callable) and hasattr(value, "__name__"):
        return value.__name__
    return repr(value)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class Frozen:
    """Base of values without arrays: subclassing makes a frozen dataclass with equality by value.

    Subclasses are static to JAX (no leaves, part of the treedef), so that they cross `jit` as
    ordinary arguments and two equal ones share one compiled program. Fields must be hashable;
    NumPy scalars are stored as Python scalars.

    Raises:
        TypeError: a field is not hashable when an instance is built.

    Example:
        >>> class Interval(Frozen):
        ...     low: float
        ...     high: float = 1.0
        >>> Interval(0.0) == Interval(0.0, 1.0), Interval(0.5)
        (True, Interval(0.5))
    """

    _custom_init = False
    _field_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A custom `__init__` is inherited until a subclass adds fields of its own.
        annotations = inspect.get_annotations(cls).values()
        added = any("ClassVar" not in str(annotation) for annotation in annotations)
        cls._custom_init = "__init__" in cls.__dict__ or (cls._custom_init and not added)
        dataclasses.dataclass(frozen=True, eq=False, repr=False, init=not cls._custom_init)(cls)
        cls._field_names = tuple(field.name for field in dataclasses.fields(cls))  # pyright: ignore[reportArgumentType]
        cls.__init__ = _sealed(cls, cls.__init__)
        jax.tree_util.register_static(cls)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        mine, theirs = self.__dict__, other.__dict__
        if all([mine[name] is theirs[name] for name in self._field_names]):
            return True
        return self._key() == other._key()  # pyright: ignore[reportAttributeAccessIssue]

    def __hash__(self) -> int:
        # Asked for at every dispatch of a compiled function, so it is computed once.
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash((type(self), self._key()))
        return known

    def _key(self) -> tuple:
        known = self.__dict__.get("_fields_key")
        if known is None:
            keys = [_static_key(self.__dict__[name]) for name in self._field_names]
            known = self.__dict__["_fields_key"] = tuple(keys)
        return known

    def __getstate__(self) -> dict[str, Any]:
        # String hashes differ between processes: the cached one must not travel.
        return {name: self.__dict__[name] for name in self._field_names}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"

    def _arguments(self) -> list[str]:
        """The arguments one would type: defaults are left out, and what follows them is named."""
        arguments, positional = [], True
        fields = dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
        for field in sorted(fields, key=lambda field: field.kw_only is True):
            value = getattr(self, field.name)
            if not field.init:
                continue
            if same(value, field.default):
                positional = False
                continue
            positional = positional and not field.kw_only
            text = typed(value)
            arguments.append(text if positional else f"{field.name}={text}")
        return arguments


class SharedDefault(type):
    """Metaclass of values that loops ask for without arguments: `MSELoss()` is made once.

    A training step looks its compiled function up by such values, and identity is the short way.
    """

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                return super().__call__(*args, **kwargs)
            if "_shared_default" not in cls.__dict__:
                type.__setattr__(cls, "_shared_default", super().__call__())
            return cls.__dict__["_shared_default"]


def _sealed(cls: type[Frozen], init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if type(self) is cls:
            for name in cls._field_names:
                _seal(self, name)

    return __init__


def sealed_copy(instance: Any, fields: dict[str, Any]) -> Any:
    """An object of the same class with these fields; `__init__` does not run again."""
    copy = object.__new__(type(instance))
    copy.__dict__.update(fields)
    for name in fields:
        _seal(copy, name)
    return copy


def _seal(instance: Any, name: str) -> None:
    value = instance.__dict__[name]
    if type(value) in _ATOMS:
        return
    value = python_numbers(value)
    object.__setattr__(instance, name, value)
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"`{type(instance).__name__}.{name}` must be hashable, because the object is a static "
            f"value without arrays; got {type(value).__name__}. Use a tuple of Python numbers for "
            "options, and `initial_parameters` or `initial_states` for arrays."
        ) from None
