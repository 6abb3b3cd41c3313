"""FitRun: a fit under way, as callbacks see it."""

import dataclasses
from typing import Any

import numpy as np

from ..state._train_state import TrainState
from ._snapshot import Snapshot
from ._validation import Validation


class FitRun:
    """What callbacks get: a fit under way, and how to end it.

    Attributes:
        steps: the number of steps that the fit will take.
        first_step: `tstate.step` when the fit began.
        validates: whether the fit has held-out data.
        message: why the fit ends, once it does.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> class EndAtTwo(training.Callback):
        ...     every = 1
        ...     def on_steps(self, run: training.FitRun):
        ...         if run.done == 2:
        ...             run.stop(f"{run.done} of {run.steps} steps, loss {run.losses[-1]:.2f}")
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.25))
        >>> data = jnp.ones((8, 1), jnp.float32), jnp.full((8, 1), 3, jnp.float32)
        >>> training.fit(ts, losses.MSELoss(), data, steps=9, progress=False,
        ...              callbacks=[EndAtTwo()]).message
        '2 of 9 steps, loss 1.00'
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
        """The number of steps that this fit has taken."""
        return self.snapshot.done

    @property
    def step(self) -> int:
        """The number of updates made, `tstate.step`."""
        return self.first_step + self.done

    def stop(self, message: str) -> None:
        """End the fit here, without an error; `message` goes into the result."""
        self.stopped, self.message = True, message

    def keep_best(self) -> None:
        """Store the present state as the best, in checkpoints and `FitResult.best`."""
        self.snapshot = dataclasses.replace(self.snapshot, best=self.snapshot.tstate)

    def drop_best(self) -> None:
        """Forget the best state."""
        self.snapshot = dataclasses.replace(self.snapshot, best=None)
