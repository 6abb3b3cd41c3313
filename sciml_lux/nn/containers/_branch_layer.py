"""BranchLayer: one input to several layers."""

from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States, apply, is_layer
from ...core.internal import argument_text
from ...precision import promote_floats
from ._named_layers import NamedLayers, apply_each, layer_arguments, named_layers


class BranchLayer(Layer):
    """y = fusion(layer_1(x), layer_2(x), ...).

    Args:
        *layers: layers or functions, called `layer_1`, `layer_2`, ... in the trees.
        fusion: None for a tuple of the outputs; a function of the outputs; or a layer, which gets
            the outputs as one tuple.
        **named: layers or functions under names of your choice.

    Inputs: anything; every layer gets the whole input, also if it is a tuple.

    Parameters and States: those of each layer under its name. If `fusion` is a layer, they are
    under `layers` and its own are under `fusion`.

    Raises:
        TypeError: `fusion` is not a function, a layer or None.

    Source: `BranchLayer` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp, operator
        >>> from sciml_lux import nn, setup
        >>> model = nn.BranchLayer(nn.Dense(2, 4), nn.Dense(2, 4, nn.tanh), fusion=operator.mul)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 4)
    """

    layers: NamedLayers
    fusion: LayerLike | None

    def __init__(
        self, *layers: LayerLike, fusion: LayerLike | None = None, **named: LayerLike
    ) -> None:
        if not (fusion is None or callable(fusion)):
            raise TypeError(
                f"`BranchLayer` expects `fusion` to be a function, a layer or None, got {fusion!r}."
            )
        object.__setattr__(self, "layers", named_layers("BranchLayer", layers, named))
        object.__setattr__(self, "fusion", fusion)

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name; with a layer as fusion, `layers` and `fusion`."""
        if is_layer(self.fusion):
            return {"layers": dict(self.layers), "fusion": self.fusion}
        return dict(self.layers)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The fused outputs."""
        inputs = (x,) * len(self.layers)
        if is_layer(self.fusion):
            y, inner = apply_each(self.layers, inputs, ps.layers, st.layers)
            y, fused = apply(self.fusion, y, ps.fusion, st.fusion)
            return y, st | {"layers": inner, "fusion": fused}
        y, st = apply_each(self.layers, inputs, ps, st)
        return (y if self.fusion is None else self.fusion(*promote_floats(*y))), st

    def _arguments(self) -> list[str]:
        fusion = [] if self.fusion is None else [f"fusion={argument_text(self.fusion)}"]
        return [*layer_arguments(self.layers), *fusion]
