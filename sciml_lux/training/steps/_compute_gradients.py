"""compute_gradients: the gradient of an objective, compiled."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..objectives._objective import Objective
from ..state._train_state import TrainState
from ._ad import AD
from ._call import call, check_arguments
from ._step import gradients


def compute_gradients(
    ad: AD, objective: Objective, data: PyTree, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """The gradient of `objective` with respect to the parameters.

    Args:
        ad: how to differentiate: `AutoReverse()`, `AutoForward()` or `AutoFiniteDiff()`.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one. It is
            compiled once for each objective, model, optimiser and shape, and looked up as
            `jax.jit` does: functions and partials by identity, methods by their object and
            function, other objects by `==`. What it reads is fixed when it is compiled. A function
            written anew is another one: if its code was compiled for the same model, shapes and
            dtypes before, there is a `RecompilationWarning`. Pass what changes in `data`. What was
            compiled is freed with the objective, the model or the optimiser.
        data: what the objective gets, a tree of arrays.
        tstate: the state of training.

    Returns:
        `grads, loss, stats, tstate`: a tree like the parameters, a scalar, what the objective
        returned, and the state with the new model states.

    Raises:
        TypeError: the objective returns no triple, no scalar, or a loss in fewer digits than the
            parameters have; float64 NumPy data, x64 off.

    Source: `Training.compute_gradients` of Lux 1.31.
    """
    check_arguments(ad, objective, data)
    structure, leaves = tstate.flat
    compute = _gradients_function(ad, objective, structure)
    grads, loss, stats, leaves = call(tstate, compute, leaves, data)
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


@compiled
def _gradients_function(ad: AD, objective: Objective, structure: Structure) -> Callable[..., Any]:
    def compute(leaves: list[jax.Array], data: PyTree) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, tstate = gradients(ad, objective, data, tstate)
        return grads, loss, stats, tstate.flat[1]

    return compute
