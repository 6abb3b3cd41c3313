"""Chain: layers one after another."""

from collections.abc import Iterator
from typing import ClassVar

from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States, apply
from ._named_layers import NamedLayers, layer_arguments, named_layers


class Chain(Layer):
    """y = layer_n(... layer_2(layer_1(x))).

    Args:
        *layers: layers or functions; tuples and lists of them are flattened. They are called
            `layer_1`, `layer_2`, ... in the trees.
        **named: layers or functions under names of your choice. A chain without layers returns its
            input.

    Parameters and States: those of each layer under its name.

    Raises:
        TypeError: layers are given both by position and by name, or one is not a layer.

    `chain[0]`, `chain["layer_1"]` and `chain.layer_1` are the same layer; a slice is a chain whose
    layers keep their names, so that it can be called with the parameters and states of the whole
    chain.

    Source: `Chain` of Lux 1.31; positions count from 0, as in Python.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 1))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((3, 2), jnp.float32), ps, st)[0].shape
        (3, 1)
        >>> model[:1]
        Chain(Dense(2, 8, tanh))
    """

    layers: NamedLayers

    may_be_a_part: ClassVar[bool] = True

    def __init__(self, *layers: LayerLike, **named: LayerLike) -> None:
        object.__setattr__(self, "layers", named_layers("Chain", layers, named))

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name, in order."""
        return dict(self.layers)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output of the last layer."""
        states = {}
        for name, layer in self.layers:
            x, states[name] = apply(layer, x, getattr(ps, name), getattr(st, name))
        return x, st | states

    def __len__(self) -> int:
        return len(self.layers)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[LayerLike]:
        return (layer for _, layer in self.layers)

    def __getitem__(self, index: int | slice | str) -> LayerLike:
        if isinstance(index, slice):
            return Chain(**dict(self.layers[index]))
        if isinstance(index, str):
            return self.__getattr__(index)
        return self.layers[index][1]

    def __getattr__(self, name: str) -> LayerLike:
        layers = dict(self.__dict__.get("layers", ()))
        if name in layers:
            return layers[name]
        raise AttributeError(
            f"`Chain` has no layer `{name}`; it has {', '.join(layers) or 'none'}."
        )

    def _arguments(self) -> list[str]:
        return layer_arguments(self.layers)
