"""The door of a model: what the user gives is checked, and brought into form, once."""

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

import jax

from ..precision.internal import own_memory, require_exact_floats, require_exact_numbers
from ._contract import layer_name
from ._record import Record, as_record
from ._tree import StateStructureError


def admitted(model: Any, x: Any, ps: Any, st: Any) -> tuple[Any, Any, Any]:
    """Input, in memory of its own, parameters and states as the layers inside may rely on them.

    Raises:
        TypeError: float64 NumPy data while x64 is off, `x` of Python numbers.
        StateStructureError: `ps` or `st` has an entry that the model does not.
    """
    require_exact_floats(x, "`x`")
    require_exact_floats(ps, "`ps`")
    require_exact_numbers(st, "`st`")
    if not hasattr(x, "dtype"):
        _check_numbers(model, x)
    return own_memory(x), admitted_parameters(model, ps), admitted_states(model, st)


def admitted_parameters(model: Any, ps: Any) -> Any:
    """`ps` with a `Record` for each mapping, in the model's own order.

    JAX returns dicts sorted by name; what is a dict in the model's own tree stays one.

    Raises:
        StateStructureError: an entry that the model does not have.
    """
    return _admitted(model, ps, "ps", "_own_parameters", "_own_states")


def admitted_states(model: Any, st: Any) -> Any:
    """`st` as `admitted_parameters` treats `ps`."""
    return _admitted(model, st, "st", "_own_states", "_own_parameters")


def as_given(given: Any, admitted: Any, new: Any) -> Any:
    """The new states in the types in which the user gave the old ones."""
    if given is admitted or new is admitted:
        return new if given is admitted else given
    if not isinstance(given, Record | Mapping) or not isinstance(new, Record):
        return new
    entries = {
        name: as_given(entry, admitted[name], new[name]) if name in new else entry
        for name, entry in given.items()
    }
    return _of_the_same_type(given, entries)


def _of_the_same_type(given: Any, entries: dict[str, Any]) -> Any:
    if not isinstance(given, MutableMapping):
        return type(given)(entries)
    new = copy.copy(given)  # A `defaultdict` could not be made from its entries alone.
    new.update(entries)
    return new


def _admitted(model: Any, tree: Any, kind: str, own: str, other: str) -> Any:
    # A class that is not a `Layer` has no place to keep its names: its trees are taken as they are.
    names = getattr(model, own) if hasattr(type(model), own) else None
    if not isinstance(tree, Record | Mapping) or names is None:
        return tree
    if getattr(model, "may_be_a_part", False):
        tree = _without_siblings(names, tree)
    if path := _unknown(names, tree):
        if _has(getattr(model, other), path):
            # `ps` and `st` are swapped: told where the first entry is missed.
            return as_record(tree)
        raise StateStructureError(
            f"`{layer_name(model)}` expects `{kind}` to have no entries but its own, got "
            f"`{'.'.join(map(str, path))}` too. Pass the trees that setup(key, model) made for "
            "this model; a class of your own says what it has in `initial_parameters` and "
            "`initial_states`."
        )
    return _in_form(names, tree)


def _without_siblings(names: Any, tree: Any) -> Any:
    """`tree` without the trees of layers that the part of a model does not have."""
    others = [n for n, e in tree.items() if n not in names and isinstance(e, Record | Mapping)]
    return Record({n: e for n, e in tree.items() if n not in others}) if others else tree


def _unknown(names: Any, tree: Any) -> list[str]:
    """The path of the first entry that the model does not have; empty where there is none."""
    if not isinstance(names, Record) or not isinstance(tree, Record | Mapping):
        return []  # A leaf, or a tree of the user's own kind.
    for name, entry in tree.items():
        if name not in names:
            return [name]
        if inner := _unknown(names[name], entry):
            return [name, *inner]
    return []


def _has(names: Any, path: list[str]) -> bool:
    for name in path:
        if not isinstance(names, Record) or name not in names:
            return False
        names = names[name]
    return True


def _in_form(names: Any, tree: Any) -> Any:
    if not isinstance(names, Record) or not isinstance(tree, Record | Mapping):
        return tree
    entries = {name: _in_form(names[name], tree[name]) for name in names if name in tree}
    unchanged = isinstance(tree, Record) and all([entries[n] is e for n, e in tree.items()])
    return tree if unchanged else Record(entries)


def _check_numbers(model: Any, x: Any) -> None:
    leaves = jax.tree.leaves(x)
    if leaves and all(isinstance(leaf, int | float | complex) for leaf in leaves):
        raise TypeError(
            f"`{layer_name(model)}` expects `x` to be an array, got {type(x).__name__} of Python "
            "numbers. Convert it: jnp.asarray(x, dtype)."
        )
