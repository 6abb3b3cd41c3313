"""Structure: the static half of a `TrainState`."""

from typing import Any

import optax

from ...core import LayerLike


class Structure:
    """Model, optimiser and the structure of the trees.

    Compared by value; identity is asked first, since every training step looks a program up by it.
    """

    __slots__ = ("__weakref__", "_hash", "model", "optimizer", "treedef")

    def __init__(
        self,
        model: LayerLike,
        optimizer: optax.GradientTransformation,
        treedef: Any,
    ) -> None:
        self.model, self.optimizer, self.treedef = model, optimizer, treedef
        self._hash = hash((model, optimizer, treedef))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Structure)
            and self.model == other.model
            and self.optimizer == other.optimizer
            and self.treedef == other.treedef
        )
