"""The door of a model: the user's arguments are checked, and given one form, once for each call."""

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any

import jax
from jaxtyping import PyTree

from ..precision.internal import own_memory, require_exact_floats, require_exact_numbers
from ._contract import layer_name
from ._record import Record, as_record
from ._tree import StateStructureError
from ._types import LayerLike, Parameters, States


def admitted(model: LayerLike, x: PyTree, ps: Parameters, st: States) -> tuple[Any, Any, Any]:
    """Input in memory of its own, parameters and states in the form that the layers rely on.

    Raises:
        TypeError: float64 NumPy data while x64 is off; an `x` of Python numbers.
        StateStructureError: `ps` or `st` has an entry that the model does not have.
    """
    require_exact_floats(x, "`x`")
    require_exact_floats(ps, "`ps`")
    require_exact_numbers(st, "`st`")
    if not hasattr(x, "dtype"):
        _check_numbers(model, x)
    return own_memory(x), admitted_parameters(model, ps), admitted_states(model, st)


def admitted_parameters(model: LayerLike, ps: Parameters) -> Any:
    """`ps` with a `Record` for each mapping, in the model's own order.

    JAX returns dicts sorted by name. A dict in the model's own tree stays a dict.

    Raises:
        StateStructureError: an entry that the model does not have.

    Example:
        >>> from sciml_lux import nn
        >>> admitted_parameters(nn.Dense(1, 1), {"bias": 0.0, "weight": 1.0})
        Record(weight=1.0, bias=0.0)
    """
    return _admitted(model, ps, "ps", "_own_parameters", "_own_states")


def admitted_states(model: LayerLike, st: States) -> Any:
    """`st` with a `Record` for each mapping, as `admitted_parameters` does it for `ps`.

    Raises:
        StateStructureError: an entry that the model does not have.

    Example:
        >>> from sciml_lux import nn
        >>> admitted_states(nn.Chain(nn.Dense(1, 1)), {"layer_1": {}})
        Record(layer_1=Record())
    """
    return _admitted(model, st, "st", "_own_states", "_own_parameters")


def as_given(given: States, admitted: States, new: States) -> Any:
    """The new states in the types of the old ones that the user passed."""
    if given is admitted or new is admitted:
        return new if given is admitted else given
    if not isinstance(given, Record | Mapping) or not isinstance(new, Record):
        return new
    entries = {
        name: as_given(entry, admitted[name], new[name]) if name in new else entry
        for name, entry in given.items()
    }
    return _of_the_same_type(given, entries)


def _of_the_same_type(given: States, entries: dict[str, PyTree]) -> Any:
    if not isinstance(given, MutableMapping):
        return type(given)(entries)
    new = copy.copy(given)  # A `defaultdict` could not be made from its entries alone.
    new.update(entries)
    return new


def _admitted(model: LayerLike, tree: PyTree, kind: str, own: str, other: str) -> Any:
    # A class that is not a `Layer` cannot store its names: its trees are taken as they are.
    names = getattr(model, own) if hasattr(type(model), own) else None
    if not isinstance(tree, Record | Mapping) or names is None:
        return tree
    if getattr(model, "may_be_a_part", False):
        tree = _without_siblings(names, tree)
    if path := _unknown(names, tree):
        if _has(getattr(model, other), path):
            # `ps` and `st` are swapped: the error comes where the first entry is missing.
            return as_record(tree)
        raise StateStructureError(
            f"`{layer_name(model)}` expects `{kind}` to have no entries but its own, got "
            f"`{'.'.join(map(str, path))}` too. Pass the trees that setup(key, model) made for "
            "this model; a class of your own declares its entries in `initial_parameters` and "
            "`initial_states`."
        )
    return _in_form(names, tree)


def _without_siblings(names: PyTree, tree: PyTree) -> Any:
    """`tree` without the trees of layers that the part of a model does not have."""
    others = [n for n, e in tree.items() if n not in names and isinstance(e, Record | Mapping)]
    return Record({n: e for n, e in tree.items() if n not in others}) if others else tree


def _unknown(names: PyTree, tree: PyTree) -> list[str]:
    """The path of the first entry that the model does not have; empty where there is none."""
    if not isinstance(names, Record) or not isinstance(tree, Record | Mapping):
        return []  # A leaf, or a tree of the user's own kind.
    for name, entry in tree.items():
        if name not in names:
            return [name]
        if inner := _unknown(names[name], entry):
            return [name, *inner]
    return []


def _has(names: PyTree, path: list[str]) -> bool:
    for name in path:
        if not isinstance(names, Record) or name not in names:
            return False
        names = names[name]
    return True


def _in_form(names: PyTree, tree: PyTree) -> Any:
    if not isinstance(names, Record) or not isinstance(tree, Record | Mapping):
        return tree
    entries = {name: _in_form(names[name], tree[name]) for name in names if name in tree}
    unchanged = isinstance(tree, Record) and all([entries[n] is e for n, e in tree.items()])
    return tree if unchanged else Record(entries)


def _check_numbers(model: LayerLike, x: PyTree) -> None:
    leaves = jax.tree.leaves(x)
    if leaves and all(isinstance(leaf, int | float | complex) for leaf in leaves):
        many = jax.tree.structure(x) != jax.tree.structure(0)
        got = f"{type(x).__name__} of Python numbers" if many else f"the Python number {x!r}"
        raise TypeError(
            f"`{layer_name(model)}` expects `x` to be an array, got {got}. Convert it: "
            "jnp.asarray(x, dtype)."
        )
