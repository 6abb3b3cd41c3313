"""Snapshot: how far a fit has come, as checkpoints hold it."""

import dataclasses
from typing import Any

import numpy as np

from ..objectives._stats import Stats
from ..state._train_state import TrainState
from ._fit_result import FitResult
from ._validation import Validation


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """How far a fit has come; replaced as a whole, so that an interrupt never splits it.

    Attributes:
        method: the arrays from which a method of `minimise` continues; those of an optimiser of
            optax are in `tstate`.
    """

    tstate: TrainState
    losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    validation: Validation = dataclasses.field(default_factory=Validation)
    best: TrainState | None = None
    stats: Stats = dataclasses.field(default_factory=Stats)
    method: tuple[Any, ...] = ()

    def with_steps(self, tstate: TrainState, losses: np.ndarray, stats: Stats) -> "Snapshot":
        """The snapshot after more steps, which ended in `tstate`."""
        if not len(losses):
            return self
        losses = np.concatenate([self.losses, losses])
        return dataclasses.replace(self, tstate=tstate, losses=losses, stats=self.stats.then(stats))

    def without_last(self, tstate: TrainState) -> "Snapshot":
        """The snapshot before its last step, which began with `tstate`."""
        validation = self.validation.until(int(tstate.step))
        stats = self.stats.without_last()
        return dataclasses.replace(
            self, tstate=tstate, losses=self.losses[:-1], stats=stats, validation=validation
        )

    def result(self) -> FitResult:
        """The result of a fit that ends here."""
        return FitResult(
            self.tstate,
            self.losses,
            validation=self.validation,
            best=self.best,
            stats=self.stats.tree,
        )

    @property
    def done(self) -> int:
        """The number of steps taken."""
        return len(self.losses)

    @property
    def step(self) -> int:
        """The number of updates made, `tstate.step`."""
        return int(self.tstate.step)
