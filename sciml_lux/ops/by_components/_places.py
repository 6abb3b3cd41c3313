"""Rules of gathers and scatters at constant places: the primitive itself, on numbers of entries."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...programs import Call, Jaxpr
from ._components import Components, array_of, is_constant, joined, numbers
from ._emitter import Emitter, Operation
from ._refusal import refusal

_BETWEEN = {
    "gather": slice(1, 2),
    "scatter": slice(1, 2),
    "scatter-add": slice(1, 2),
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
}
"""Of each primitive, which of its operands are places."""

_SCATTERS = {"scatter": jax.lax.scatter, "scatter-add": jax.lax.scatter_add}


def _places(call: Call, operands: Sequence[Components]) -> tuple[list[Components], list[Any]]:
    """The arrays of entries, and the places as numbers."""
    between = _BETWEEN[call.name]
    places = operands[between]
    if not all(map(is_constant, places)):
        raise refusal(call, "its indices depend on values")
    if call.name == "scatter" and not _replaces(call.params["update_jaxpr"]):
        raise refusal(call, "it computes with the entries that it replaces")
    types: list[Any] = [atom.aval for atom in call.equation.invars[between]]
    found = [numbers(p, t.dtype) for p, t in zip(places, types, strict=True)]
    numbers_of_places = range(len(operands))[between]
    return [o for i, o in enumerate(operands) if i not in numbers_of_places], found


def _replaces(program: Jaxpr | None) -> bool:
    """Whether of an entry and its update it returns the update."""
    return program is None or program.outvars[0] is program.invars[1]


def _put_back(call: Call, entries: Sequence[Any], places: Sequence[Any]) -> list[Any]:
    start = _BETWEEN[call.name].start
    return [*entries[:start], *places, *entries[start:]]


def _bound(call: Call, entries: Sequence[Any], places: Sequence[Any]) -> jax.Array:
    """The result of the primitive for these entries."""
    params = dict(call.params)
    if "fill_value" in params:
        params["fill_value"] = -1  # Below every number of an entry.
    operands = map(jnp.asarray, _put_back(call, entries, places))
    if call.name in _SCATTERS:  # Its parameters hold a program for entries of its own type.
        names = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        function = functools.partial(_SCATTERS[call.name], **{n: params[n] for n in names})
        return function(*operands)
    return call.equation.primitive.bind(*operands, **params)


def moved(call: Call, *operands: Components) -> Components:
    """The entries that the primitive takes, by their numbers."""
    arrays, places = _places(call, operands)
    atoms = joined(arrays)
    counted = np.arange(len(atoms), dtype=np.int32)
    ends = np.cumsum([array.size for array in arrays])[:-1]
    parts = np.split(counted, ends)
    entries = [part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True)]
    with jax.ensure_compile_time_eval():
        found = np.asarray(_bound(call, entries, places))
    fill = _fill(call)
    return array_of((atoms[i] if i >= 0 else fill for i in found.flat), found.shape)


def _fill(call: Call) -> np.generic | None:
    """What a gather finds outside, where it may look there."""
    kind: Any = call.equation.outvars[0].aval
    value = call.params.get("fill_value")
    return None if value is None else np.dtype(kind.dtype).type(value)


def added(emitter: Emitter) -> Callable[..., Components]:
    """The rule of `scatter-add`: each entry and the updates that come to its place."""

    def rule(call: Call, *operands: Components) -> Components:
        (x, updates), places = _places(call, operands)
        with jax.ensure_compile_time_eval():
            zeros = np.zeros(x.shape, np.int32)
            every = np.eye(updates.size, dtype=np.int32).reshape(-1, *updates.shape)
            hits = [np.asarray(_bound(call, [zeros, one], places)) for one in every]
        found = x.copy()
        for update, hit in zip(updates.flat, hits, strict=True):
            for i in np.flatnonzero(hit):
                found.flat[i] = emitter(Operation("add", jax.lax.add), found.flat[i], update)
        return found

    return rule


def places_rules(emitter: Emitter) -> Mapping[str, Callable[..., Components]]:
    """The rule of each primitive of this file."""
    return {**dict.fromkeys(_BETWEEN, moved), "scatter-add": added(emitter)}
