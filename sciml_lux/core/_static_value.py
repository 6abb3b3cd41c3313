"""StaticValue: a class whose instances are values, as layers, losses and AD choices are."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import jax
import numpy as np

from ..precision.internal import python_numbers

# Types that are not inspected when an object is built, as loops do at every training step.
_ATOMS = frozenset({bool, int, float, str, type(None), FunctionType})

# What an instance caches.
_CACHED = ("_hash", "_fields_key")
_LONGEST = 8  # Of a tuple of numbers that is written out.


def static_key(value: object) -> Any:
    """A key that is equal for fields of equal value *and* equal types, at every depth.

    In Python `1 == 1.0 == True` and `0.0 == -0.0`, but each is traced to another program. Numbers
    are compared by type and bits (NaN equals itself), the entries of tuples and frozensets and the
    fields of dataclasses one by one. Anything else is compared by its class and its own `==`, as
    under `jax.jit`: functions and partials by identity, an object by its `__eq__`.

    Example:
        >>> static_key(1) == static_key(1.0), static_key((0.0,)) == static_key((-0.0,))
        (False, False)
    """
    kind = type(value)
    if isinstance(value, StaticValue):
        return kind, value
    if isinstance(value, np.generic):
        return kind, value.tobytes()
    if isinstance(value, float):
        return kind, float.hex(value)
    if isinstance(value, complex):
        return kind, value.real.hex(), value.imag.hex()
    if isinstance(value, tuple):
        return kind, *map(static_key, value)
    if isinstance(value, frozenset):
        return kind, frozenset(map(static_key, value))
    if dataclasses.is_dataclass(kind) and kind.__eq__ is not object.__eq__:
        names = [field.name for field in dataclasses.fields(kind) if field.compare]
        return kind, value, *(static_key(getattr(value, name)) for name in names)
    return kind, value


def same(value: object, other: object) -> bool:
    """Whether two fields are equal in value and in type."""
    return static_key(value) == static_key(other)


def _is_named(value: object) -> bool:
    if type(value) is not tuple or len(value) != 2:
        return False
    return isinstance(value[0], str) and not isinstance(
        value[1], str
    )  # Two names are not an entry.


def argument_text(value: object) -> str:
    """`value` as one would type it as an argument; pairs of name and value stand for a dict.

    The middle of a long tuple of numbers is left out.

    Example:
        >>> print(argument_text(jax.numpy.tanh), argument_text((1, 2)), argument_text((("a", 1),)))
        tanh (1, 2) {'a': 1}
        >>> print(argument_text(tuple(range(1000))))
        (0, 1, ..., 999)
    """
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        if value and all(map(_is_named, value)):
            entries = [f"{name!r}: {argument_text(entry)}" for name, entry in value]
            return "{" + ", ".join(entries) + "}"
        if len(value) > _LONGEST and all(isinstance(entry, int | float) for entry in value):
            return f"({value[0]}, {value[1]}, ..., {value[-1]})"
        inner = ", ".join(map(argument_text, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, functools.partial):
        options = [f"{name}={argument_text(entry)}" for name, entry in value.keywords.items()]
        return f"partial({', '.join([*map(argument_text, (value.func, *value.args)), *options])})"
    if isinstance(value, type | Callable) and hasattr(value, "__name__"):
        return value.__name__
    return repr(value)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class StaticValue:
    """Base of values without arrays: a subclass is a frozen dataclass, compared by value.

    Instances are static to JAX (no leaves, part of the treedef): they are ordinary arguments of a
    compiled function, and two equal ones share one compiled program. Fields must be hashable; NumPy
    scalars are stored as Python numbers.

    Two instances are equal if their fields are equal in value and in type, at every depth: 1, 1.0
    and True differ, and so do 0.0 and -0.0, also inside tuples, frozensets and dataclasses.
    Functions and `functools.partial` are compared by identity, objects of other classes by their
    own `==`.

    Every attribute of an instance is a field. What follows from the fields is a property or a
    `functools.cached_property`.

    Raises:
        TypeError: a field is not hashable, or not set when an instance is built; an attribute is
            not a field; the class has `__slots__`.

    Example:
        >>> class Interval(StaticValue):
        ...     low: float
        ...     high: float = 1.0
        >>> Interval(0.0) == Interval(0.0, 1.0), Interval(0.5)
        (True, Interval(0.5))
    """

    _custom_init = False
    _field_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if cls.__dict__.get("__slots__"):
            raise TypeError(
                f"`{cls.__name__}` cannot have `__slots__`: every attribute is a field. "
                "Annotate the names in the class."
            )
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
        # Every dispatch of a compiled function asks for it, so it is computed once.
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash((type(self), self._key()))
        return known

    def _key(self) -> tuple:
        known = self.__dict__.get("_fields_key")
        if known is None:
            _require_only_fields(self)
            keys = [static_key(self.__dict__[name]) for name in self._field_names]
            known = self.__dict__["_fields_key"] = tuple(keys)
        return known

    def __getstate__(self) -> dict[str, Any]:
        # Hashes of strings differ between processes: the cached one must not be pickled.
        _require_only_fields(self)
        return {name: self.__dict__[name] for name in self._field_names}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"

    def _arguments(self) -> list[str]:
        """The arguments as one would type them: no defaults, and named after a left out one."""
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
            text = argument_text(value)
            arguments.append(text if positional else f"{field.name}={text}")
        return arguments


class SharedDefault(type):
    """Metaclass of values that loops build without arguments: `MSELoss()` is always one object.

    A training step looks up its compiled function by such values, which is fastest by identity.

    Example:
        >>> class Setting(StaticValue, metaclass=SharedDefault):
        ...     size: int = 1
        >>> Setting() is Setting(), Setting(1) is Setting(1)
        (True, False)
    """

    if not TYPE_CHECKING:

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                return super().__call__(*args, **kwargs)
            if "_shared_default" not in cls.__dict__:
                type.__setattr__(cls, "_shared_default", super().__call__())
            return cls.__dict__["_shared_default"]


def _sealed(cls: type[StaticValue], init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if type(self) is cls:
            _seal_fields(self)

    return __init__


def sealed_copy(instance: StaticValue, fields: dict[str, object]) -> Any:
    """A copy of `instance` with these fields; `__init__` does not run again."""
    copy = object.__new__(type(instance))
    copy.__dict__.update(fields)
    _seal_fields(copy)
    return copy


def _seal_fields(instance: StaticValue) -> None:
    for name in instance._field_names:
        _seal(instance, name)
    if len(instance.__dict__) > len(instance._field_names):
        _require_only_fields(instance)
        # What was cached while the fields were being set may be out of date.
        for name in instance.__dict__.keys() - set(instance._field_names):
            del instance.__dict__[name]


def _require_only_fields(instance: StaticValue) -> None:
    for name in instance.__dict__.keys() - {*instance._field_names, *_CACHED}:
        kind = type(instance)
        if not isinstance(inspect.getattr_static(kind, name, None), functools.cached_property):
            raise TypeError(
                f"`{kind.__name__}` expects every attribute to be a field, got `{name}`, which is "
                "not: equality, pickle and copies would not see it, and two objects that differ in "
                f"it would share one compiled program. Annotate it in the class, as `{name}: "
                "float = dataclasses.field(init=False)`, or compute it from the fields in a "
                "`functools.cached_property`."
            )


def _seal(instance: StaticValue, name: str) -> None:
    if name not in instance.__dict__:
        _set_default(instance, name)
    value = instance.__dict__[name]
    if type(value) in _ATOMS:
        return
    value = python_numbers(value)
    object.__setattr__(instance, name, value)
    try:
        hash(static_key(value))
    except TypeError:
        raise TypeError(
            f"`{type(instance).__name__}.{name}` must be hashable, because the object is a static "
            f"value without arrays; got {type(value).__name__}. Use a tuple of Python numbers for "
            "options, and `initial_parameters` or `initial_states` for arrays."
        ) from None


def _set_default(instance: StaticValue, name: str) -> None:
    """The class's default for a field that an `__init__` did not set."""
    kind = type(instance)
    if not hasattr(kind, name):
        raise TypeError(
            f"`{kind.__name__}` expects every field to be set when it is built, got no "
            f"`{name}`. Set it: object.__setattr__(self, {name!r}, value)."
        )
    object.__setattr__(instance, name, getattr(kind, name))
