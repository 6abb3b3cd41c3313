"""layer_map: a function applied to the leaf layers of a model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from ...core import LayerLike, Parameters, States, parameter_structure, state_structure
from ...core.internal import flat_children
from ._entries import Path, dotted, entry, has_entry, records, with_entry


class Child(NamedTuple):
    """A child of a container, and the path of its trees in those of the container."""

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
    """The model with `layer, ps, st = f(layer, ps, st, path)` applied to each of its leaf layers.

    A leaf is a layer without children, or one whose trees do not contain those of its children by
    name, such as a frozen layer. Containers are rebuilt around what `f` returns.

    Args:
        f: function of a layer, its parameters and states, and their path in those of the model,
            such as `("encoder", "layer_2")`.
        layer: the model.
        ps: its parameters.
        st: its states.

    Returns:
        The new model, parameters and states.

    Raises:
        TypeError: a container cannot be rebuilt; see `Layer.with_sublayers`.

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
    """The children with their trees; none for a leaf. An only child may share the trees."""
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
    """The container with new children, and its trees with those of the children."""
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
