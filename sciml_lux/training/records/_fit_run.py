"""FitRun: a fit under way, as callbacks see it."""

import dataclasses
from typing import Any

import numpy as np

from ..state._train_state import TrainState
from ._snapshot import Snapshot
from ._validation import Validation


class FitRun:
    """What callbacks get: where the fit stands, and how to end it.

    Attributes:
        steps: the number of steps that the fit will take.
        first_step: the number of updates that the state had behind it when the fit began.
        validates: whether the fit has held-out data.
        message: why the fit ends, once it does.
    """

    def __init__(self, snapshot: Snapshot, steps: int, validates: bool) -> None:
        self.snapshot, self.steps, self.validates = snapshot, steps, validates
        self.first_step = snapshot.step - snapshot.done
        self.stopped, self.message = False, ""

    @property
    def tstate(self) -> TrainState:
        """The state after the last step."""
        return self.snapshot.tstate

    @property
    def losses(self) -> np.ndarray:
        """The loss before each step of this fit."""
        return self.snapshot.losses

    @property
    def validation(self) -> Validation:
        """The losses on held-out data."""
        return self.snapshot.validation

    @property
    def stats(self) -> Any:
        """What the objective returned beside the loss, each leaf with a leading axis of steps."""
        return self.snapshot.stats.tree

    @property
    def done(self) -> int:
        """The number of steps of this fit that lie behind."""
        return self.snapshot.done

    @property
    def step(self) -> int:
        """The number of updates that the state has behind it."""
        return self.first_step + self.done

    def stop(self, message: str) -> None:
        """End the fit here, well; `message` goes into the result."""
        self.stopped, self.message = True, message

    def keep_best(self) -> None:
        """Keep the state as it is now, in checkpoints and as `FitResult.best`."""
        self.snapshot = dataclasses.replace(self.snapshot, best=self.snapshot.tstate)

    def drop_best(self) -> None:
        """Forget the state that was kept."""
        self.snapshot = dataclasses.replace(self.snapshot, best=None)
