"""weak_key: keys that compare like the values they are made from, and keep none of them alive."""

import dataclasses
import functools
import types
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...core import StaticValue
from ._structure import Structure

_PLAIN = frozenset({bool, int, str, bytes, type(None)})


class NotReferableError(TypeError):
    """Python cannot refer weakly to an object that compares by identity."""


class WeakKey:
    """The key of a value that consists of others; equal values share one.

    Attributes:
        references: weak references to the parts that are compared by identity, such as functions.
            The key is of no use once one of them is freed.
    """

    __slots__ = ("references",)

    def __init__(self, references: tuple[weakref.ref, ...]) -> None:
        self.references = references


class Identity(weakref.ref):
    """A weak reference that compares by identity, as methods compare what they are bound to."""

    __slots__ = ("_id",)

    def __init__(self, value: object) -> None:
        super().__init__(value)  # pyright: ignore[reportCallIssue]
        self._id = id(value)

    def __hash__(self) -> int:
        return self._id

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Identity):
            return self is other
        return self._id == other._id and self() is other() is not None


# The keys of values that are alive, by their address: asked for at every training step, where even
# a hash takes too long. The reference says whether it is still the same value.
_known: dict[int, tuple[weakref.ref, WeakKey, list[weakref.ref]]] = {}


def weak_key(value: Any) -> Any:
    """The key that `value` is looked up by; equal for values that are the same to `jax.jit`.

    Functions and partials are the same by identity, methods by their object and function, other
    objects by their `==`. A `StaticValue`, frozen dataclasses that hold nothing but their fields,
    tuples and frozensets are the same if their entries are, in value and type.

    Raises:
        TypeError: it cannot be hashed.
        NotReferableError: it holds an object that compares by identity, or a method of an object,
            that has `__slots__` without `__weakref__`.
    """
    known = _known.get(id(value))
    if known is not None and known[0]() is value:
        return known[1]
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind is types.FunctionType:
        return weakref.ref(value)
    if isinstance(value, float | complex | np.generic):
        return kind, np.asarray(value).tobytes()  # -0.0 is not 0.0, and NaN is NaN.
    if kind is types.MethodType:
        return _key(kind, (_identity(value.__self__), weak_key(value.__func__)))
    inside = entries(value)
    if inside is None:
        return _reference(value)
    parts = map(weak_key, inside)
    key = _key(weakref.ref(kind), frozenset(parts) if kind is frozenset else tuple(parts))
    if isinstance(value, StaticValue | Structure):
        _remember(value, key)
    return key


def _remember(value: object, key: WeakKey) -> None:
    """Keep `key` while `value` lives, and what the key refers to, which may be an equal value's."""
    place = id(value)

    def forget(_: object) -> None:
        _known.pop(place, None)

    parts = [reference() for reference in key.references]
    if all(part is not None for part in parts):
        watched = [weakref.ref(part, forget) for part in parts]
        _known[place] = weakref.ref(value, forget), key, watched


def entries(value: Any) -> tuple[Any, ...] | None:
    """What a value consists of; None where it is one thing, such as a function."""
    if isinstance(value, StaticValue):
        return tuple(value.__dict__[name] for name in value._field_names)
    if isinstance(value, Structure):
        return value.model, value.optimizer, value.treedef
    if isinstance(value, tuple | frozenset):
        return tuple(value)
    kind = type(value)
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        names = {field.name: field.compare for field in dataclasses.fields(kind)}
        whole = all(names.values()) and getattr(value, "__dict__", {}).keys() <= names.keys()
        if whole and kind.__eq__ is not object.__eq__:
            return tuple(getattr(value, name) for name in names)
    return None


def references_of(key: object) -> tuple[weakref.ref, ...]:
    """The weak references in a key."""
    if isinstance(key, WeakKey):
        return key.references
    return (key,) if isinstance(key, weakref.ref) else ()


@functools.lru_cache(maxsize=4096)
def _key(kind: object, parts: Iterable[object]) -> WeakKey:
    found = (reference for key in (kind, *parts) for reference in references_of(key))
    return WeakKey(tuple(dict.fromkeys(found)))


def _reference(value: object) -> Any:
    hash(value)
    try:
        return weakref.ref(value)
    except TypeError:
        kind = type(value)
        if hasattr(kind, "__slots__") and kind.__eq__ is object.__eq__:
            raise _not_referable(value) from None
        return kind, value  # Values of C types: dtypes, structures of trees, ufuncs.


def _identity(value: object) -> Identity:
    try:
        return Identity(value)
    except TypeError:
        raise _not_referable(value) from None


def _not_referable(value: object) -> NotReferableError:
    return NotReferableError(
        f"a {type(value).__name__} compares by identity, and its `__slots__` lack `__weakref__`"
    )
