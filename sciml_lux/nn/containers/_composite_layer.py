"""Base of layers that build their children from their options."""

import dataclasses

from ...core import Layer, LayerLike, layer_name
from ._named_layers import NamedLayers


class CompositeLayer(Layer):
    """Base of layers whose children `made_layers` builds from the other fields.

    They are built once and stored in a field, where they can be replaced. The call therefore takes
    sizes from the options and never from the children.
    """

    layers: NamedLayers = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Build the children; subclasses check their options first."""
        object.__setattr__(self, "layers", tuple(self.made_layers().items()))

    def made_layers(self) -> dict[str, LayerLike]:
        """The children that the options ask for, by name."""
        raise TypeError(
            f"`{layer_name(self)}` defines no `made_layers`. Write `def made_layers(self): ...` "
            "that returns a dict of layers."
        )

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name, in order."""
        return dict(self.layers)

    def __repr__(self) -> str:
        made = super().__repr__()
        if self.sublayers() == self.made_layers():
            return made
        return f"{made}.with_sublayers({self.sublayers()!r})"
