"""What the methods of `minimise` have in common."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from ...core import Parameters, StateStructureError
from ...core.internal import first_difference
from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..fitting._refusal import NonFiniteError
from ..fitting._session import Session
from ..state._train_state import TrainState


class Outcome(NamedTuple):
    """How a method ended.

    Attributes:
        converged: whether it says so; None if it was not asked.
        message: why it ended, in its words.
        loss: after the last step, or None where it is not known.
    """

    converged: bool | None
    message: str
    loss: float | None


_NO_OPTIMIZER = optax.identity()


def without_optimizer(tstate: TrainState) -> TrainState:
    """`tstate` for solvers: without a loss scale, and with one program for all optimisers."""
    return tstate.with_optimizer(_NO_OPTIMIZER)


def with_parameters(tstate: TrainState, parameters: Parameters, steps: int) -> TrainState:
    """`tstate` with other parameters, `steps` later.

    The state of its optimiser starts afresh, since an average in it would be of other parameters.

    Raises:
        StateStructureError: they differ in structure, shape or dtype.
    """
    difference = first_difference(tstate.parameters, parameters)
    if difference:
        raise StateStructureError(
            f"`minimise` must keep every shape and dtype, but the parameters differ {difference}."
        )
    step = tstate.step + jnp.asarray(steps, jnp.int32)
    new = tstate.replace(parameters=parameters, step=step)
    first_state = _first_state_function(new.flat[0])
    return new.replace(optimizer_state=first_state(new.parameters))


@compiled
def _first_state_function(structure: Structure) -> Callable[..., Any]:
    return structure.optimizer.init


def finite_or_refuse(session: Session, loss: float, where: str) -> None:
    """Raise if `loss` is not finite.

    Raises:
        NonFiniteError: it is not.
    """
    if np.isfinite(loss):
        return
    run = session.run
    place = f"the last good state is that of step {run.step}" if run.done else "nothing was changed"
    raise NonFiniteError(
        f"the loss is {loss} {where}, so {place}. Look at the data and the parameters, or take a "
        "few steps of Adam first.",
        run.snapshot.result(),
    )
