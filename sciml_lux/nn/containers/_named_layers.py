"""Layers by name, as the containers store them."""

from collections.abc import Callable, Iterable
from typing import Any

from ...core import LayerLike, Parameters, States, apply, is_layer
from ._wrapped_function import WrappedFunction

NamedLayers = tuple[tuple[str, Any], ...]


def as_layer(value: Any, container: str) -> LayerLike:
    """`value` as a layer: itself, or a `WrappedFunction` of it.

    Raises:
        TypeError: it is neither a layer nor a function.
    """
    if is_layer(value):
        return value
    if isinstance(value, Callable) and not isinstance(value, type):
        return WrappedFunction(value)
    raise TypeError(
        f"`{container}` expects layers or functions, got {value!r} of type {type(value).__name__}."
    )


def named_layers(
    container: str, layers: Iterable[LayerLike], named: dict[str, LayerLike]
) -> NamedLayers:
    """Positional layers as `layer_1, layer_2, ...`, or keyword layers under their names.

    Tuples and lists among positional layers are flattened; functions become layers.

    Raises:
        TypeError: layers are given both ways, or one is neither layer nor function.
    """
    flat = list(_flattened(layers))
    if flat and named:
        raise TypeError(
            f"`{container}` expects layers either by position or by name, got both. Name all: "
            f"{container}(first=..., {next(iter(named))}=...)."
        )
    named = named or {f"layer_{i}": layer for i, layer in enumerate(flat, start=1)}
    return tuple((name, as_layer(layer, container)) for name, layer in named.items())


def apply_each(
    layers: NamedLayers, inputs: Iterable[Any], ps: Parameters, st: States
) -> tuple[tuple, States]:
    """The outputs of `layers`, each for its own input, and the new states."""
    outputs, states = [], {}
    for (name, layer), x in zip(layers, inputs, strict=True):
        y, states[name] = apply(layer, x, getattr(ps, name), getattr(st, name))
        outputs.append(y)
    return tuple(outputs), st | states


def layer_arguments(layers: NamedLayers) -> list[str]:
    """`layers` as the arguments of a call, for printing."""
    default = all(name == f"layer_{i}" for i, (name, _) in enumerate(layers, start=1))
    return [repr(layer) if default else f"{name}={layer!r}" for name, layer in layers]


def _flattened(layers: Iterable[LayerLike]) -> Iterable[LayerLike]:
    for layer in layers:
        if isinstance(layer, tuple | list):
            yield from _flattened(layer)
        else:
            yield layer
