"""train_steps: many training steps in one compiled loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..objectives._objective import Objective
from ..state._train_state import TrainState
from ._ad import AD
from ._call import call, check_arguments
from ._step import one_step


def train_steps(
    ad: AD, objective: Objective, data: PyTree, tstate: TrainState, *, steps: int | None = None
) -> tuple[jax.Array, Any, TrainState]:
    """Many steps of training in one compiled loop, for models whose step is quick beside a call.

    Args:
        ad: how to differentiate.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: a tree of arrays with a leading axis of steps, one entry for each; with `steps`, what
            the objective gets at every step.
        tstate: the state of training.
        steps: the number of steps over the same data.

    Returns:
        `losses, stats, tstate`: (steps,) losses, each of the parameters before its step, and the
        stats with a leading axis of steps. A step that is not finite is taken like the others;
        `fit` refuses it.

    Raises:
        ValueError: `steps` is not a positive integer; the leading axes of `data` differ.
        TypeError: the objective does not return a triple; the loss is not a scalar, or has fewer
            digits than the parameters; float64 NumPy data while x64 is off.
        StateStructureError: the step changes a shape or dtype; names the first path.
        DonatedStateError: `tstate` was donated before.

    Source: asked for in Lux's issue 1290; Lux has one step for each call.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(2, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.1))
        >>> data = jnp.ones((8, 2), jnp.float32), jnp.zeros((8, 1), jnp.float32)
        >>> values, stats, ts = training.train_steps(
        ...     training.AutoReverse(), losses.MSELoss(), data, ts, steps=5)
        >>> values.shape, int(ts.step)
        ((5,), 5)
    """
    check_arguments(ad, objective, data)
    _check_steps(data, steps)
    structure, leaves = tstate.flat
    run = _steps_function(ad, objective, steps, structure)
    values, stats, leaves = call(tstate, run, leaves, data)
    return values, stats, TrainState.from_flat(structure, leaves)


def _check_steps(data: PyTree, steps: int | None) -> None:
    if steps is not None:
        if not isinstance(steps, int | np.integer) or isinstance(steps, bool) or steps < 1:
            raise ValueError(f"`train_steps` expects `steps` of 1 or more, got {steps!r}.")
        return
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(data)}
    if len(lengths) != 1 or () in lengths:
        raise ValueError(
            "`train_steps` expects `data` with one leading axis of steps, got lengths "
            f"{sorted(lengths)}. Stack the batches, or give `steps` for the same data each time."
        )


@compiled
def _steps_function(
    ad: AD, objective: Objective, steps: int | None, structure: Structure
) -> Callable[..., Any]:
    def body(leaves: list[jax.Array], data: PyTree) -> tuple[list[Any], Any]:
        tstate = TrainState.from_flat(structure, leaves)
        _, loss, stats, tstate = one_step(ad, objective, data, tstate)
        return tstate.flat[1], (loss, stats)

    def run(leaves: list[jax.Array], data: PyTree) -> tuple[jax.Array, Any, list[Any]]:
        if steps is None:
            leaves, (values, stats) = jax.lax.scan(body, leaves, data)
        else:
            leaves, (values, stats) = jax.lax.scan(
                lambda leaves, _: body(leaves, data), leaves, None, length=steps
            )
        return values, stats, leaves

    return run
