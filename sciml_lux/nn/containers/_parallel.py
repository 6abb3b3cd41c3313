"""Parallel: layers side by side, joined by a connection."""

from typing import Any

from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States, apply, is_layer
from ...core.internal import argument_text, subject
from ...precision import promote_floats
from ._named_layers import NamedLayers, apply_each, layer_arguments, named_layers


class Parallel(Layer):
    """y = connection(layer_1(x_1), layer_2(x_2), ...).

    Args:
        connection: None for a tuple of the outputs; a function of the outputs; or a layer, which
            gets the outputs as one tuple.
        *layers: layers or functions, called `layer_1`, `layer_2`, ... in the trees.
        **named: layers or functions under names of your choice.

    Inputs: a tuple with one element for each layer, or anything else, which goes to all of them.

    Parameters and States: those of each layer under its name. If `connection` is a layer, they are
    under `layers` and its own are under `connection`.

    Raises:
        ValueError: the input is a tuple whose length is not the number of layers.

    Source: `Parallel` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp, operator
        >>> from sciml_lux import nn, setup
        >>> model = nn.Parallel(operator.add, nn.Dense(2, 4), nn.Dense(3, 4))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> x = jnp.ones((5, 2), jnp.float32), jnp.ones((5, 3), jnp.float32)
        >>> model(x, ps, st)[0].shape
        (5, 4)
    """

    connection: LayerLike | None
    layers: NamedLayers

    def __init__(
        self, connection: LayerLike | None, *layers: LayerLike, **named: LayerLike
    ) -> None:
        object.__setattr__(self, "connection", connection)
        object.__setattr__(self, "layers", named_layers("Parallel", layers, named))

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name; with a layer as connection, `layers` and `connection`."""
        if is_layer(self.connection):
            return {"layers": dict(self.layers), "connection": self.connection}
        return dict(self.layers)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The joined outputs."""
        if is_layer(self.connection):
            y, inner = self._branches(x, ps.layers, st.layers)
            y, joined = apply(self.connection, y, ps.connection, st.connection)
            return y, st | {"layers": inner, "connection": joined}
        y, st = self._branches(x, ps, st)
        return (y if self.connection is None else self.connection(*promote_floats(*y))), st

    def _branches(self, x: PyTree, ps: Parameters, st: States) -> tuple[tuple, Any]:
        if isinstance(x, tuple) and len(x) != len(self.layers):
            raise ValueError(
                f"{subject(self)} expects a tuple of {len(self.layers)} inputs, one for each "
                f"layer, got {len(x)}. An input that is not a tuple goes to all layers."
            )
        if isinstance(x, list):
            raise TypeError(
                f"{subject(self)} expects a tuple of inputs, one for each layer, got a list. "
                "Convert it: tuple(x)."
            )
        inputs = x if isinstance(x, tuple) else (x,) * len(self.layers)
        return apply_each(self.layers, inputs, ps, st)

    def _arguments(self) -> list[str]:
        return [argument_text(self.connection), *layer_arguments(self.layers)]
