"""Where a fit stands, as the fit, its checkpoints and its callbacks see it."""

import dataclasses
from typing import Any

import numpy as np

from ...core import Record
from ..objectives._stats import Stats
from ..state._train_state import TrainState


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


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a fit stands; replaced as a whole, so that an interrupt never splits it.

    Attributes:
        method: the arrays that a method of `minimise` goes on from; an optimiser of optax has its
            own in `tstate`.
    """

    tstate: TrainState
    losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    validation: Validation = dataclasses.field(default_factory=Validation)
    best: TrainState | None = None
    stats: Stats = dataclasses.field(default_factory=Stats)
    method: tuple[Any, ...] = ()

    def moved(self, tstate: TrainState, losses: np.ndarray, stats: Stats) -> "Run":
        """After more steps, which ended in `tstate`."""
        if not len(losses):
            return self
        losses = np.concatenate([self.losses, losses])
        return dataclasses.replace(self, tstate=tstate, losses=losses, stats=self.stats.then(stats))

    def result(self) -> "FitResult":
        """What a fit that ends here returns."""
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
        """The number of updates the state has behind it."""
        return int(self.tstate.step)


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What `fit` and `minimise` return.

    Attributes:
        train_state: after the last step.
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

    train_state: TrainState
    losses: np.ndarray
    converged: bool | None = None
    message: str = ""
    validation: Validation = dataclasses.field(default_factory=Validation)
    best: TrainState | None = None
    stats: Any = dataclasses.field(default_factory=Record)

    def __repr__(self) -> str:
        return (
            f"FitResult({self.train_state!r}, {len(self.losses)} losses, "
            f"{len(self.validation.losses)} validations)"
        )


def history_of(subject: str, tstate: Any) -> FitResult:
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


class FitRun:
    """What callbacks get: where the fit stands, and how to end it.

    Attributes:
        steps: the number of steps that the fit will take.
        first_step: the number of updates that the state had behind it when the fit began.
        validates: whether the fit has held-out data.
        message: why the fit ends, once it does.
    """

    def __init__(self, run: Run, steps: int, validates: bool) -> None:
        self.now, self.steps, self.validates = run, steps, validates
        self.first_step = run.step - run.done
        self.stopped, self.message = False, ""

    @property
    def tstate(self) -> TrainState:
        """The state after the last step."""
        return self.now.tstate

    @property
    def losses(self) -> np.ndarray:
        """The loss before each step of this fit."""
        return self.now.losses

    @property
    def validation(self) -> Validation:
        """The losses on held-out data."""
        return self.now.validation

    @property
    def stats(self) -> Any:
        """What the objective returned beside the loss, each leaf with a leading axis of steps."""
        return self.now.stats.tree

    @property
    def done(self) -> int:
        """The number of steps of this fit that lie behind."""
        return self.now.done

    @property
    def step(self) -> int:
        """The number of updates that the state has behind it."""
        return self.first_step + self.done

    def stop(self, message: str) -> None:
        """End the fit here, well; `message` goes into the result."""
        self.stopped, self.message = True, message

    def keep_best(self) -> None:
        """Keep the state as it is now, in checkpoints and as `FitResult.best`."""
        self.now = dataclasses.replace(self.now, best=self.now.tstate)

    def drop_best(self) -> None:
        """Forget the state that was kept."""
        self.now = dataclasses.replace(self.now, best=None)
