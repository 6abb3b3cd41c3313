"""single_train_step: gradient and update in one compiled function."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..objectives._objective import Objective
from ..state._train_state import TrainState
from ._ad import AD
from ._call import call, check_arguments, given_away
from ._step import one_step


def single_train_step(
    ad: AD,
    objective: Objective,
    data: PyTree,
    tstate: TrainState,
    *,
    return_gradients: bool = True,
    donate: bool = False,
) -> tuple[Any, jax.Array, Any, TrainState]:
    """One step of training, gradient and update in one compiled function.

    Args:
        ad: how to differentiate: `AutoReverse()`, `AutoForward()` or `AutoFiniteDiff()`.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: what the objective gets.
        tstate: the state of training.
        return_gradients: False returns None in place of the gradients, which saves their memory
            and the time to return them.
        donate: give the memory of `tstate` to the result, which halves what large models need. The
            arrays of `tstate`, with the parameters it was made from, are deleted by it; using
            `tstate` again is a `DonatedStateError`.

    Returns:
        `grads, loss, stats, tstate`. The loss and the gradient belong to the parameters before
        the step.

    Raises:
        TypeError: the objective does not return a triple; the loss is not a scalar, or has fewer
            digits than the parameters; float64 NumPy data while x64 is off.
        StateStructureError: the step changes a shape or dtype; names the first path.
        DonatedStateError: `tstate` was donated before.

    Source: `Training.single_train_step` of Lux 1.31; with `donate`, `single_train_step!`.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(2, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.1))
        >>> data = jnp.ones((8, 2), jnp.float32), jnp.zeros((8, 1), jnp.float32)
        >>> grads, loss, stats, ts = training.single_train_step(
        ...     training.AutoReverse(), losses.MSELoss(), data, ts)
        >>> int(ts.step), grads.weight.shape
        (1, (1, 2))
    """
    check_arguments(ad, objective, data)
    structure, leaves = tstate.flat
    step = _step_function(ad, objective, return_gradients, structure, donate=donate)
    grads, loss, stats, leaves = call(tstate, step, given_away(leaves, donate), data)
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


@compiled
def _step_function(
    ad: AD, objective: Objective, return_gradients: bool, structure: Structure
) -> Callable[..., Any]:
    def step(leaves: list[jax.Array], data: PyTree) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, tstate = one_step(ad, objective, data, tstate)
        return grads if return_gradients else None, loss, stats, tstate.flat[1]

    return step
