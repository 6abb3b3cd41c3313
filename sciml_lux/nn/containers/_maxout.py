"""Maxout: the largest of what several layers return."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States, is_layer
from ...core.internal import describe, subject
from ...precision import promote_floats
from ._named_layers import NamedLayers, apply_each, layer_arguments, named_layers


class Maxout(Layer):
    """y = max(layer_1(x), layer_2(x), ...), elementwise.

    Args:
        *layers: layers or functions, called `layer_1`, `layer_2`, ... in the trees; or a function
            that makes a layer and an integer n, for n such layers.
        **named: layers or functions under names of your choice.

    Parameters and States: those of each layer under its name.

    Raises:
        ValueError: no layers; the outputs have different shapes, even if they could be broadcast.
        TypeError: the outputs are complex, which have no order.

    Source: `Maxout` of Lux 1.31; arXiv 1302.4389.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Maxout(lambda: nn.Dense(2, 4), 3)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape, len(ps)
        ((5, 4), 3)
    """

    layers: NamedLayers

    def __init__(self, *layers: LayerLike, **named: LayerLike) -> None:
        if len(layers) == 2 and type(layers[1]) is int and not is_layer(layers[0]):
            make, count = layers
            layers = tuple(make() for _ in range(count))
        object.__setattr__(self, "layers", named_layers("Maxout", layers, named))
        if not self.layers:
            raise ValueError("`Maxout` expects at least one layer, got none.")

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name, in order."""
        return dict(self.layers)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The elementwise maximum of the outputs."""
        outputs, st = apply_each(self.layers, (x,) * len(self.layers), ps, st)
        self._check(outputs)
        maximum = functools.partial(jax.tree.map, jnp.maximum)
        return functools.reduce(maximum, promote_floats(*outputs)), st

    def _check(self, outputs: tuple) -> None:
        found = [", ".join(map(describe, jax.tree.leaves(y))) for y in outputs]
        if len({str(jax.tree.map(jnp.shape, y)) for y in outputs}) > 1:
            raise ValueError(
                f"{subject(self)} expects all its layers to return one shape, got "
                f"{' and '.join(found)}."
            )
        if any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(outputs)):
            raise TypeError(
                f"{subject(self)} expects real outputs, since complex numbers have no order, got "
                f"{found[0]}."
            )

    def _arguments(self) -> list[str]:
        return layer_arguments(self.layers)
