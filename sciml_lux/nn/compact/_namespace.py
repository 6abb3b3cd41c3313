"""Namespace: the `m` of a compact layer, valid during one call."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, Record, States, StateStructureError, apply, layer_name
from ...core.internal import first_difference
from ._entries import NonTrainable, constant, gathered, named, view

_UNSET: Any = object()
_ADVICE = {
    "layers": "A sub-layer is fixed; call it: `m.{name}(x)`.",
    "parameters": "Only training changes parameters; start a state variable with "
    "{name}=non_trainable(...).",
    "constants": "Start a state variable with {name}=non_trainable(...), of arrays or numbers.",
}


class SubLayer:
    """A sub-layer in the function of a compact layer: `m.encoder(x)` is its output.

    The next call gets the state that this one returns. `m.encoder(x, ps)` uses `ps` in place of its
    own parameters.

    Attributes:
        model, ps, st: the layer, its parameters, and its state so far.
    """

    __slots__ = ("__weakref__", "_m", "_path", "model")

    def __init__(self, m: "Namespace", path: tuple[str, ...], model: LayerLike) -> None:
        self._m, self._path, self.model = m, path, model

    @property
    def ps(self) -> Parameters:
        """The parameters."""
        return _at(_open(self._m, self._path)._ps, self._path)

    @property
    def st(self) -> States:
        """The state so far."""
        return _at(_open(self._m, self._path)._st, self._path)

    def __call__(self, x: PyTree, ps: Parameters = _UNSET) -> Any:
        """The output for `x`."""
        before = self.st
        y, after = apply(self.model, x, self.ps if ps is _UNSET else ps, before)
        if not _unchanged(before, after):
            _store(self._m, self._path, after)
        return y

    def __repr__(self) -> str:
        return f"m.{'.'.join(self._path)}: {self.model!r}"


class Namespace:
    """Sub-layers, parameters, states and constants of one call by name; states can be assigned."""

    __slots__ = ("_layer", "_ps", "_st", "_trace")

    def __init__(self, layer: LayerLike, ps: Parameters, st: States) -> None:
        fields = (("_layer", layer), ("_ps", ps), ("_st", st), ("_trace", get_opaque_trace_state()))
        for name, value in fields:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        m = _open(self, (name,))
        kind, tree = _entry(self, name)
        if kind == "constants":
            return constant(tree)
        if kind == "layers":
            return _sub_layers(self, (name,), tree)
        return view(tree, getattr(m._ps if kind == "parameters" else m._st, name))

    def __setattr__(self, name: str, value: Any) -> None:
        before = _open(self, (name,))._st
        kind, tree = _entry(self, name)
        if kind != "states":
            raise AttributeError(
                f"`m.{name}` of `{layer_name(self._layer)}` cannot be assigned: it is one of the "
                f"{kind}. {_ADVICE[kind].format(name=name)}",
                name=name,
                obj=self,
            )
        before = Record({name: getattr(before, name)})
        after = Record({name: _stored(tree, value, before[name])})
        if difference := first_difference(before, after):
            raise StateStructureError(
                f"`{layer_name(self._layer)}` cannot assign to its state variable `{name}`, "
                f"{difference}. A state variable keeps its structure, shape and dtype."
            )
        _store(self, (name,), after[name])

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"`m.{name}` of `{layer_name(self._layer)}` cannot be deleted.")

    def __dir__(self) -> list[str]:
        return list(self._layer.entries)


def close(m: Namespace) -> States:
    """The states at the end of the call, after which any use of `m` is an error."""
    st = m._st
    for name in ("_ps", "_st"):  # A stored `m` must not keep tracers alive.
        object.__setattr__(m, name, _UNSET)
    return st


def _open(m: Namespace, path: tuple[str, ...]) -> Namespace:
    if m._st is _UNSET:
        raise RuntimeError(
            f"`m.{'.'.join(path)}` of `{layer_name(m._layer)}` was used after the call in which "
            "`m` was made. Take what you need from `m` in the body, and return arrays."
        )
    return m


def _entry(m: Namespace, name: str) -> tuple[str, Any]:
    """The kind and the stored value of an entry."""
    entries = m._layer.entries
    if name in entries:
        return entries[name]
    kinds = dict.fromkeys(kind for kind, _ in entries.values())
    has = [
        f"{kind} {', '.join(f'`{entry}`' for entry, (k, _) in entries.items() if k == kind)}"
        for kind in kinds
    ]
    raise AttributeError(
        f"`{layer_name(m._layer)}` has no entry `{name}`; it has {'; '.join(has) or 'none'}. "
        f"Give it to `compact`: {name}=...",
        name=name,
        obj=m,
    )


def _sub_layers(m: Namespace, path: tuple[str, ...], tree: PyTree) -> Any:
    if (entries := named(tree, "layer")) is None:
        return SubLayer(m, path, tree)
    seen = {name: _sub_layers(m, (*path, name), entry) for name, entry in entries}
    return gathered(tree, seen)


def _stored(tree: PyTree, value: Any, before: PyTree) -> Any:
    """An assigned value in the form that it has in the state."""
    tree = tree.value if isinstance(tree, NonTrainable) else tree
    entries = named(tree, "array")
    if entries is not None:
        if isinstance(value, tuple | list):
            value = {f"array_{i}": entry for i, entry in enumerate(value, start=1)}
        if not isinstance(value, dict | Record) or list(value) != [name for name, _ in entries]:
            return value
        parts = zip(entries, value.values(), before.values(), strict=True)
        return Record({name: _stored(inner, v, b) for (name, inner), v, b in parts})
    return _strong(value, before)


def _strong(value: Any, before: PyTree) -> Any:
    """A weakly typed number or array in the dtype of `before`, if JAX would promote it to that."""
    is_weak = isinstance(value, int | float | complex) or getattr(value, "weak_type", False)
    is_number = hasattr(before, "dtype") and not jnp.issubdtype(before.dtype, jax.dtypes.extended)
    if not (is_weak and is_number):
        return value
    with jax.numpy_dtype_promotion("standard"):
        fits = jnp.result_type(value, before.dtype) == before.dtype
    return jnp.asarray(value, before.dtype) if fits else value


def _store(m: Namespace, path: tuple[str, ...], value: Any) -> None:
    if get_opaque_trace_state() != m._trace:
        raise RuntimeError(
            f"the state `{'.'.join(path)}` of `{layer_name(m._layer)}` changed inside a nested "
            "function that JAX transforms (jit, grad, vmap, scan, ...), and a traced value cannot "
            "leave that function. Change the state outside of it, or return the value from it; "
            "call layers that change their state only in training in test mode."
        )
    object.__setattr__(m, "_st", _with(m._st, path, value))


def _with(tree: PyTree, path: tuple[str, ...], value: Any) -> Any:
    name, *rest = path
    return tree | {name: _with(getattr(tree, name), tuple(rest), value) if rest else value}


def _at(tree: PyTree, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = getattr(tree, name)
    return tree


def _unchanged(before: PyTree, after: PyTree) -> bool:
    old, new = jax.tree.leaves(before), jax.tree.leaves(after)
    same = len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
    return before is after or (same and jax.tree.structure(before) == jax.tree.structure(after))
