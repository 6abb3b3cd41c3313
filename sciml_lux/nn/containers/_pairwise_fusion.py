"""PairwiseFusion: layers one after another, each output joined with a further input."""

from collections.abc import Callable
from typing import Any

from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States, apply, is_layer
from ...core.internal import argument_text, subject
from ...precision import promote_floats
from ._named_layers import NamedLayers, layer_arguments, named_layers


class PairwiseFusion(Layer):
    """y = x_1, then y = connection(layer_i(y), x_(i+1)) for each layer.

    Args:
        connection: function of the output and the next input, such as `operator.add`.
        *layers: layers or functions, called `layer_1`, `layer_2`, ... in the trees.
        **named: layers or functions under names of your choice.

    Inputs: a tuple with one element more than there are layers; or anything else, which is then
    used for each of them.

    Parameters and States: those of each layer under its name.

    Raises:
        TypeError: `connection` is not a function; the input is a list.
        ValueError: the input is a tuple of another length.

    Source: `PairwiseFusion` of Lux 1.31. The order of the connection's arguments is that of Lux's
        code and tests; its docs write connection(x_(i+1), layer_i(y)).

    Example:
        >>> import jax, jax.numpy as jnp, operator
        >>> from sciml_lux import nn, setup
        >>> model = nn.PairwiseFusion(operator.add, nn.Dense(2, 3), nn.Dense(3, 4))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> x = tuple(jnp.ones((5, n), jnp.float32) for n in (2, 3, 4))
        >>> model(x, ps, st)[0].shape
        (5, 4)
    """

    connection: Callable[[Any, Any], Any]
    layers: NamedLayers

    def __init__(
        self, connection: Callable[[Any, Any], Any], *layers: LayerLike, **named: LayerLike
    ) -> None:
        if not callable(connection) or is_layer(connection):
            raise TypeError(
                f"`PairwiseFusion` expects `connection` to be a function of two arguments, got "
                f"{connection!r}."
            )
        object.__setattr__(self, "connection", connection)
        object.__setattr__(self, "layers", named_layers("PairwiseFusion", layers, named))

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name, in order."""
        return dict(self.layers)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The last joined output."""
        y, *others = self._inputs(x)
        states = {}
        for (name, layer), other in zip(self.layers, others, strict=True):
            y, states[name] = apply(layer, y, getattr(ps, name), getattr(st, name))
            y = self.connection(*promote_floats(y, other))
        return y, st | states

    def _inputs(self, x: PyTree) -> tuple:
        wanted = len(self.layers) + 1
        if isinstance(x, list):
            raise TypeError(
                f"{subject(self)} expects a tuple of {wanted} inputs, got a list. Convert it: "
                "tuple(x)."
            )
        if not isinstance(x, tuple):
            return (x,) * wanted
        if len(x) != wanted:
            raise ValueError(
                f"{subject(self)} expects a tuple of {wanted} inputs, one more than there are "
                f"layers, got {len(x)}. An input that is not a tuple is used each time."
            )
        return x

    def _arguments(self) -> list[str]:
        return [argument_text(self.connection), *layer_arguments(self.layers)]
