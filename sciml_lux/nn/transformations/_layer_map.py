"""layer_map: a function over the layers of a model that are made of no others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ...core import (
    LayerLike,
    Parameters,
    States,
    flat_children,
    parameter_structure,
    state_structure,
)
from ._entries import Path, dotted, entry, has_entry, records, with_entry


class Child(NamedTuple):
    """A child of a container, and where its parameters and states lie in the container's."""

    path: Path
    layer: LayerLike
    ps: Parameters
    st: States


def layer_map(
    f: Callable[[LayerLike, Parameters, States, Path], tuple[LayerLike, Parameters, States]],
    layer: LayerLike,
    ps: Parameters,
    st: States,
) -> tuple[LayerLike, Parameters, States]:
    """The model with `layer, ps, st = f(layer, ps, st, path)` done to each of its leaf layers.

    A leaf is a layer without children, or one that keeps parameters or states of children
    otherwise than by name, such as a frozen layer. Containers are built anew around what `f`
    returns.

    Args:
        f: function of a layer, its parameters and states, and where these lie in those of the
            model, such as `("encoder", "layer_2")`.
        layer: the model.
        ps: its parameters.
        st: its states.

    Returns:
        The new model, parameters and states.

    Raises:
        TypeError: a container cannot be built anew; see `Layer.with_sublayers`.

    Source: `Experimental.layer_map` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(nn.Dense(2, 3), nn.Chain(nn.Dense(3, 3), nn.relu))
        >>> def one_bias(layer, ps, st, path):
        ...     print(path)
        ...     return layer, ps | {"bias": jnp.ones_like(ps.bias)} if "bias" in ps else ps, st
        >>> _, ps, _ = layer_map(one_bias, model, *setup(jax.random.key(0), model))
        ('layer_1',)
        ('layer_2', 'layer_1')
        ('layer_2', 'layer_2')
        >>> ps.layer_2.layer_1.bias.tolist()
        [1.0, 1.0, 1.0]
    """
    return _mapped(f, layer, records(ps), records(st), ())


def _mapped(f: Callable[..., Any], layer: LayerLike, ps: Parameters, st: States, path: Path) -> Any:
    inner = children(layer, ps, st)
    if not inner:
        return f(layer, ps, st, path)
    new = [Child(c.path, *_mapped(f, c.layer, c.ps, c.st, (*path, *c.path))) for c in inner]
    return rebuilt(layer, ps, st, new)


def children(layer: LayerLike, ps: Parameters, st: States) -> list[Child]:
    """The children with their trees; none for a leaf. An only child may have the layer's own."""
    named = flat_children(getattr(layer, "sublayers", dict)())
    if len(named) == 1:
        (child,) = named.values()
        if _structure(child) == _structure(layer):
            return [Child((), child, ps, st)]
    paths = {tuple(name.split(".")): child for name, child in named.items()}
    if not all(has_entry(ps, path) and has_entry(st, path) for path in paths):
        return []
    return [Child(path, child, entry(ps, path), entry(st, path)) for path, child in paths.items()]


def rebuilt(
    layer: LayerLike, ps: Parameters, st: States, new: list[Child]
) -> tuple[LayerLike, Parameters, States]:
    """The container with its children, and its trees with theirs, in place of what was there."""
    if [child.path for child in new] == [()]:
        (name,) = flat_children(layer.sublayers())
        return layer.with_sublayers({name: new[0].layer}), new[0].ps, new[0].st
    for child in new:
        ps = with_entry(ps, child.path, child.ps)
        st = with_entry(st, child.path, child.st)
    return layer.with_sublayers({dotted(child.path): child.layer for child in new}), ps, st


def _structure(layer: LayerLike) -> tuple[Parameters, States]:
    return jax.tree.structure(parameter_structure(layer)), jax.tree.structure(
        state_structure(layer)
    )
