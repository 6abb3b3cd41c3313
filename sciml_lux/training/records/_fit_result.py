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
        converged: whether the method says so; None if it has no test of its own.
        message: why the method or a callback ended the fit.
        validation: the losses on held-out data.
        best: the state that an `EarlyStopping` found best, or None.
        stats: what the objective returned beside the loss, as it returned it, each leaf a NumPy
            array with a leading axis of steps. The last entry is that of the last step; earlier
            stats of another structure, shape or dtype, as of another objective, are left out.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.25))
        >>> data = jnp.ones((8, 1), jnp.float32), jnp.full((8, 1), 3, jnp.float32)
        >>> result = training.fit(ts, losses.MSELoss(), data, steps=2, progress=False)
        >>> result
        FitResult(TrainState(Scale(1, use_bias=False), 1 parameters, step 2), 2 losses,
        0 validations)
        >>> result.losses.tolist(), result.tstate.parameters.weight.item()
        ([4.0, 1.0], 2.5)
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
    """A result as it is; of a `TrainState`, a result of no steps.

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
