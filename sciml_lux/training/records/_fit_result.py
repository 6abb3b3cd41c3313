"""FitResult: what `fit` and `minimise` return."""

import dataclasses
from typing import Any

import numpy as np

from ...core import Record
from ..state._train_state import TrainState
from ._validation import Validation


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What `fit` and `minimise` return.

    Attributes:
        tstate: after the last step.
        losses: float64 (steps,), the loss before each step.
        converged: whether the method says so; None where it has no test of its own.
        message: what the method or a callback says of its end.
        validation: the losses on held-out data.
        best: the state that an `EarlyStopping` found best, or None.
        stats: what the objective returned beside the loss, as it returned it, each leaf a NumPy
            array with a leading axis of steps. The last entry is that of the last step; steps
            whose stats had another structure, shape or dtype, as of another objective, are left
            out.
    """

    tstate: TrainState
    losses: np.ndarray
    converged: bool | None = None
    message: str = ""
    validation: Validation = dataclasses.field(default_factory=Validation)
    best: TrainState | None = None
    stats: Any = dataclasses.field(default_factory=Record)

    def __repr__(self) -> str:
        return (
            f"FitResult({self.tstate!r}, {len(self.losses)} losses, "
            f"{len(self.validation.losses)} validations)"
        )


def history_of(subject: str, tstate: object) -> FitResult:
    """A result as it is, and a state of training as one of no steps.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(tstate, FitResult):
        return tstate
    if isinstance(tstate, TrainState):
        return FitResult(tstate, np.zeros(0))
    order = "tstate, objective, data" + (", method" if subject == "minimise" else "")
    raise TypeError(
        f"`{subject}` expects a TrainState or a FitResult first, got {type(tstate).__name__}. The "
        f"order is ({order})."
    )
