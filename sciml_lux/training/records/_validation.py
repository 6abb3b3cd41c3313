"""Validation: the losses of a fit on held-out data."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Validation:
    """The losses on held-out data.

    Attributes:
        steps: int64 (k,), the number of updates that the state had behind it.
        losses: float64 (k,).
    """

    steps: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def then(self, other: "Validation") -> "Validation":
        """This one, and `other` behind it."""
        return Validation(
            np.concatenate([self.steps, other.steps]), np.concatenate([self.losses, other.losses])
        )
