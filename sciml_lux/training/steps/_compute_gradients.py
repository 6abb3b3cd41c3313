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
            function, other objects by `==`. Whatever else it reads is fixed when it is compiled. A
            function defined again is another: if its code was compiled for the same model, shapes
            and dtypes before, there is a `RecompilationWarning`. Pass what changes in `data`. A
            compiled function is freed with its objective, model or optimiser.
        data: what the objective gets, a tree of arrays.
        tstate: the state of training.

    Returns:
        `grads, loss, stats, tstate`: a tree like the parameters, a scalar, what the objective
        returned, and the state with the new model states.

    Raises:
        TypeError: the objective does not return a triple; the loss is not a scalar, or has fewer
            digits than the parameters; float64 NumPy data while x64 is off.
        StateStructureError: the step changes a shape or dtype; names the first path.
        DonatedStateError: `tstate` was donated before.

    Source: `Training.compute_gradients` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.1))
        >>> data = jnp.ones((8, 1), jnp.float32), jnp.full((8, 1), 3, jnp.float32)
        >>> grads, loss, stats, ts = training.compute_gradients(
        ...     training.AutoReverse(), losses.MSELoss(), data, ts)
        >>> grads.weight.item(), loss.item(), int(ts.step)
        (-4.0, 4.0, 0)
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
