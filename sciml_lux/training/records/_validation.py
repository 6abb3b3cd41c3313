"""Validation: the losses of a fit on held-out data."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Validation:
    """The losses on held-out data.

    Attributes:
        steps: int64 (k,), `tstate.step` of the states that were validated.
        losses: float64 (k,).

    Example:
        >>> first = Validation(np.asarray([10]), np.asarray([0.5]))
        >>> both = first.then(Validation(np.asarray([20]), np.asarray([0.25])))
        >>> both.steps.tolist(), both.losses.tolist()
        ([10, 20], [0.5, 0.25])
    """

    steps: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
    losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def until(self, step: int) -> "Validation":
        """Those of states after at most `step` updates."""
        kept = self.steps <= step
        return Validation(self.steps[kept], self.losses[kept])

    def then(self, other: "Validation") -> "Validation":
        """These losses, followed by `other`."""
        return Validation(
            np.concatenate([self.steps, other.steps]), np.concatenate([self.losses, other.losses])
        )
