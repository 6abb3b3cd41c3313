"""Where in a model a call is: asked only by messages and tables."""

import itertools
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax

from ._children import flat_children
from ._contract import layer_name, sublayers_of
from ._record import Record


class Frame(NamedTuple):
    """One layer being called."""

    layer: Any
    ps: Any
    st: Any


# The layers being called, the outermost first.
frames: ContextVar[tuple[Frame, ...]] = ContextVar("frames", default=())


def outermost() -> Hashable:
    """The model being called, or its identity where it has no hash."""
    model = frames.get()[0].layer
    return model if isinstance(model, Hashable) else id(model)


def layer_path() -> str:
    """The path of the layer being called, such as `encoder.layer_2`; empty for the outermost.

    Names come from where the layer's parameters or states lie in those of the layer around it, so
    that authors of containers do nothing for it.
    """
    names = [_name_in(parent, child) for parent, child in itertools.pairwise(frames.get())]
    return ".".join(name for name in names if name)


def subject(layer: Any) -> str:
    """How a message opens: `` `Dense` `` or `` `Dense` (at `layer_2`) ``."""
    path = layer_path()
    return f"`{layer_name(layer)}` (at `{path}`)" if path else f"`{layer_name(layer)}`"


def _name_in(parent: Frame, child: Frame) -> str:
    passes_through = getattr(parent.layer, "wrapped", None) is child.layer
    if passes_through or child.ps is parent.ps or child.layer is parent.layer:
        return ""  # A wrapper's child has its tree, and so no name of its own.
    for tree, part in ((parent.ps, child.ps), (parent.st, child.st)):
        if not jax.tree.leaves(part) and not isinstance(part, Record):
            continue  # `()` and None are the same object everywhere.
        for name, entry in entries_of(tree):
            if entry is part:
                return name
            for inner, nested in entries_of(entry):
                if nested is part:
                    return f"{name}.{inner}"
    named = flat_children(sublayers_of(parent.layer)).items()
    return next((name for name, layer in named if layer is child.layer), layer_name(child.layer))


def entries_of(tree: Any) -> list[tuple[str, Any]]:
    """The entries of a node of any kind that parameters may lie in, by name."""
    if isinstance(tree, Record | Mapping):
        return list(tree.items())
    if hasattr(type(tree), "as_record"):
        return [(name, tree[name]) for name in tree]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(name, getattr(tree, name)) for name in tree._fields]  # pyright: ignore[reportAttributeAccessIssue]
    return list(getattr(tree, "__dict__", {}).items())
