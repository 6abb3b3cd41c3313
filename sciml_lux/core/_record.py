"""Record: the tree node of parameters and states."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from jaxtyping import PyTree

_RESERVED = frozenset({"keys", "values", "items"})


class MissingEntryError(AttributeError):
    """A `Record` or `ComponentArray` does not have an entry of this name; the message lists them.

    Example:
        >>> Record(weight=1.0).bias
        Traceback (most recent call last):
        ...
        sciml_lux.core._record.MissingEntryError: `Record` has no entry `bias`; it has `weight`.
    """

    def __init__(self, record: PyTree, name: str) -> None:
        has = ", ".join(f"`{n}`" for n in record._names) or "nothing"
        text = f"`{type(record).__name__}` has no entry `{name}`; it has {has}."
        super().__init__(text, name=name, obj=record)
        self.record = record

    def __reduce__(self) -> tuple:
        return (_missing, (str(self), self.name))


def _missing(text: str, name: str) -> MissingEntryError:
    """The error after unpickling: its text, without the record."""
    error = MissingEntryError.__new__(MissingEntryError, text)
    error.record, error.name = None, name
    return error


class Record:
    """An ordered, immutable tree node: `ps.weight` and `ps["weight"]` are the same entry.

    Entries keep their order; JAX would sort the keys of a dict and so put `layer_10` before
    `layer_2` in a flat vector. Key paths are those of a dict.

    Args:
        entries: a mapping from names to arrays or trees.
        **named: further entries, which come after those.

    Raises:
        TypeError: a name is not a string.
        ValueError: a name is not an identifier, starts with an underscore, or is `keys`,
            `values` or `items`.

    Example:
        >>> ps = Record(weight=1.0, bias=2.0)
        >>> ps.bias, ps["weight"], list(ps), ps | {"bias": 0.0}
        (2.0, 1.0, ['weight', 'bias'], Record(weight=1.0, bias=0.0))
    """

    __slots__ = ("_names", "_values")
    _names: tuple[str, ...]
    _values: tuple[Any, ...]

    def __init__(self, entries: Mapping[str, PyTree] | None = None, /, **named: PyTree) -> None:
        merged = {**(dict(entries) if entries is not None else {}), **named}
        for name in merged:
            _check_name(name)
        _set_names(self, tuple(merged))
        _set_values(self, tuple(merged.values()))

    def __getattr__(self, name: str) -> Any:
        # Copying and pickling probe dunder names on a blank instance.
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise MissingEntryError(self, name) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(str(MissingEntryError(self, name))) from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"`Record` is immutable: cannot set `{name}`. "
            f"Make a new one: record | {{{name!r}: value}}."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"`Record` is immutable: cannot delete `{name}`.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._names]

    def __or__(self, other: "Mapping[str, Any] | Record") -> "Record":
        names, new = self._names, dict(zip(self._names, self._values, strict=True))
        new.update(other.items())
        if len(new) > len(names):
            return Record(new)
        values = tuple(new.values())  # No name is new, so none needs a look.
        unchanged = all([a is b for a, b in zip(values, self._values, strict=True)])
        return self if unchanged else _make(names, values)

    def __ror__(self, other: Mapping[str, Any]) -> "Record":
        return Record(other) | self

    def __reduce__(self) -> tuple:
        return (_make, (self._names, self._values))

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{n}={v!r}' for n, v in self.items())})"

    def keys(self) -> tuple[str, ...]:
        """The names, in order."""
        return self._names

    def values(self) -> tuple[Any, ...]:
        """The entries, in order."""
        return self._values

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and entry, in order."""
        return zip(self._names, self._values, strict=True)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"`Record` expects names that are strings, got {name!r}.")
    if not name.isidentifier() or name.startswith("_") or name in _RESERVED:
        raise ValueError(
            f"`Record` cannot have an entry `{name}`: a name is an identifier without a leading "
            "underscore, and not `keys`, `values` or `items`. Choose another name."
        )


# Slots are set through their descriptors, since `__setattr__` is closed.
_set_names = Record.__dict__["_names"].__set__
_set_values = Record.__dict__["_values"].__set__
_new = object.__new__


def _make(names: tuple[str, ...], values: Any) -> Record:
    record = _new(Record)
    _set_names(record, names)
    _set_values(record, values)
    return record


def _flatten_with_keys(record: Record) -> tuple:
    keys = map(jax.tree_util.DictKey, record._names)
    return tuple(zip(keys, record._values, strict=True)), record._names


# `attrgetter` flattens at C speed, which matters to the time of a training step.
jax.tree_util.register_pytree_with_keys(
    Record, _flatten_with_keys, _make, operator.attrgetter("_values", "_names")
)


def as_record(tree: PyTree) -> Any:
    """`tree` with a `Record` for every mapping, NamedTuple and `ComponentArray` in it.

    Example:
        >>> as_record({"layer_1": {"weight": 1.0}})
        Record(layer_1=Record(weight=1.0))
    """
    if hasattr(type(tree), "as_record"):  # A `ComponentArray`.
        return tree.as_record()
    if isinstance(tree, Mapping | Record):
        return Record({name: as_record(entry) for name, entry in tree.items()})
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return Record({name: as_record(getattr(tree, name)) for name in tree._fields})  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(tree, list | tuple):
        return type(tree)(map(as_record, tree))
    return tree


def as_dict(tree: PyTree) -> Any:
    """`tree` with a dict for every mapping, `Record` and `ComponentArray` in it.

    Example:
        >>> as_dict(Record(layer_1=Record(weight=1.0)))
        {'layer_1': {'weight': 1.0}}
    """
    if hasattr(type(tree), "as_record"):  # A `ComponentArray`.
        tree = tree.as_record()
    if isinstance(tree, Mapping | Record):
        return {name: as_dict(entry) for name, entry in tree.items()}
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return type(tree)(map(as_dict, tree))
    return tree
