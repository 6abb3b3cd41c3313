"""Where in a model a call is, for messages and tables."""

import itertools
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from ._children import flat_children
from ._contract import layer_name, sublayers_of
from ._record import Record
from ._types import LayerLike, Parameters, States


class Frame(NamedTuple):
    """A layer that is being called, with its trees."""

    layer: LayerLike
    ps: Parameters
    st: States


# The layers that are being called, the outermost first.
frames: ContextVar[tuple[Frame, ...]] = ContextVar("frames", default=())


def outermost() -> Hashable:
    """The model that is being called, or its identity if it has no hash.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(lambda x: outermost())
        >>> model(jnp.ones(1, jnp.float32), *setup(0, model))[0] is model
        True
    """
    model = frames.get()[0].layer
    return model if isinstance(model, Hashable) else id(model)


def layer_path() -> str:
    """The path of the layer that is being called, such as `encoder.layer_2`; empty for the model.

    Names come from the place of the layer's parameters or states in those of the layer around it,
    so that authors of containers need not do anything.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Layer, nn, setup
        >>> class Where(Layer):
        ...     def __call__(self, x, ps, st):
        ...         return layer_path(), st
        >>> model = nn.Chain(first=Where())
        >>> model(jnp.ones(1, jnp.float32), *setup(0, model))[0]
        'first'
    """
    names = [_name_in(parent, child) for parent, child in itertools.pairwise(frames.get())]
    return ".".join(name for name in names if name)


def subject(layer: LayerLike) -> str:
    """The first words of a message: `` `Dense` `` or `` `Dense` (at `layer_2`) ``.

    Example:
        >>> from sciml_lux import nn
        >>> subject(nn.Dense(2, 3))
        '`Dense`'
    """
    path = layer_path()
    return f"`{layer_name(layer)}` (at `{path}`)" if path else f"`{layer_name(layer)}`"


def _name_in(parent: Frame, child: Frame) -> str:
    passes_through = getattr(parent.layer, "wrapped", None) is child.layer
    if passes_through or child.ps is parent.ps or child.layer is parent.layer:
        return ""  # The child of a wrapper has the same trees, and no name of its own.
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


def entries_of(tree: PyTree) -> list[tuple[str, Any]]:
    """The entries of a node of parameters or states by name, of whatever kind the node is."""
    if isinstance(tree, Record | Mapping):
        return list(tree.items())
    if hasattr(type(tree), "as_record"):
        return [(name, tree[name]) for name in tree]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(name, getattr(tree, name)) for name in tree._fields]  # pyright: ignore[reportAttributeAccessIssue]
    return list(getattr(tree, "__dict__", {}).items())
