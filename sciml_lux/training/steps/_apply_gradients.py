"""apply_gradients: one update of the optimiser, compiled."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ...core import StateStructureError
from ...core.internal import first_difference
from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..state._train_state import TrainState
from ._call import given_away
from ._step import update


def apply_gradients(tstate: TrainState, grads: PyTree, *, donate: bool = False) -> TrainState:
    """The state after one update of the optimiser.

    Args:
        tstate: the state of training.
        grads: a tree like the parameters.
        donate: give the memory of `tstate` to the result; see `single_train_step`.

    Raises:
        StateStructureError: `grads` is not a tree like the parameters; names the first path.

    Source: `Training.apply_gradients` of Lux 1.31; with `donate`, `apply_gradients!`.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.5))
        >>> ts = training.apply_gradients(ts, jax.tree.map(jnp.ones_like, ts.parameters))
        >>> ts.parameters.weight.item(), int(ts.step)
        (0.5, 1)
    """
    difference = first_difference(tstate.parameters, grads)
    if difference:
        raise StateStructureError(
            f"`apply_gradients` expects `grads` to be a tree like the parameters, {difference}. "
            "Pass what compute_gradients returned."
        )
    structure, leaves = tstate.flat
    update_leaves = _update_function(structure, donate=donate)
    return TrainState.from_flat(structure, update_leaves(given_away(leaves, donate), grads))


@compiled
def _update_function(structure: Structure) -> Callable[..., Any]:
    def apply(leaves: list[jax.Array], grads: PyTree) -> list[Any]:
        return update(TrainState.from_flat(structure, leaves), grads).flat[1]

    return apply
