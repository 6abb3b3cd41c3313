"""One training step as a pure function: the gradient, the update, and both."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from ...core import Parameters, StateStructureError
from ...core.internal import first_difference
from ..objectives._objective import Objective, evaluate
from ..optimisers._call_update import call_update, extra_arguments
from ..optimisers._loss_scale import loss_scale_of, scaled, states_after, unscaled
from ..state._train_state import TrainState
from ._ad import AD, check_ad
from ._loss_dtype import check_loss_dtype


def gradients(
    ad: AD, objective: Objective, data: PyTree, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """`compute_gradients` without compilation, for use inside a compiled function."""
    check_ad(ad)
    scale = loss_scale_of(tstate.optimizer_state)

    def loss_of_parameters(ps: Parameters) -> tuple[jax.Array, tuple[Any, Any, Any]]:
        loss, states, stats = evaluate(objective, tstate.model, ps, tstate.states, data)
        check_loss_dtype(loss, tstate.parameters)
        return scaled(loss, scale), (loss, states, stats)

    differentiate = ad.value_and_gradient(loss_of_parameters)
    (_, (loss, states, stats)), grads = differentiate(tstate.parameters)
    _check_unchanged("the gradient", tstate.parameters, grads)
    _check_unchanged("the state", tstate.states, states)
    grads = unscaled(grads, scale)
    states = states_after(states, tstate.states, grads, scale)
    return grads, loss, stats, tstate.replace(states=states)


def line_search_arguments(
    objective: Objective, data: PyTree, tstate: TrainState, grads: PyTree, loss: jax.Array
) -> dict[str, Any]:
    """The arguments beyond the gradient that a line search or a plateau of optax takes."""

    def loss_of_parameters(ps: Parameters) -> jax.Array:
        return objective(tstate.model, ps, tstate.states, data)[0]

    return extra_arguments(loss, grads, loss_of_parameters)


def update(tstate: TrainState, grads: PyTree, extra: dict[str, PyTree] | None = None) -> TrainState:
    """`apply_gradients` without compilation, for use inside a compiled function."""
    # optax mixes step counts and floats, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = call_update(
            tstate.optimizer, grads, tstate.optimizer_state, tstate.parameters, extra or {}
        )
        # optax would cast an update of another dtype to that of the parameter silently.
        added = _as_added(tstate.parameters, updates)
        _check_unchanged("the optimiser's update", tstate.parameters, added)
        parameters = optax.apply_updates(tstate.parameters, updates)
    _check_unchanged("the optimiser's state", tstate.optimizer_state, optimizer_state)
    return tstate.replace(
        parameters=parameters, optimizer_state=optimizer_state, step=tstate.step + 1
    )


def one_step(
    ad: AD, objective: Objective, data: PyTree, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """`single_train_step` without compilation, for use inside a compiled function."""
    grads, loss, stats, new = gradients(ad, objective, data, tstate)
    extra = line_search_arguments(objective, data, tstate, grads, loss)
    return grads, loss, stats, update(new, grads, extra)


def _as_added(parameters: Parameters, updates: PyTree) -> Any:
    """`updates` in the dtypes of the parameters: those in half precision may come in float32."""
    if jax.tree.structure(parameters) != jax.tree.structure(updates):
        return updates

    def added(parameter: jax.Array, update: jax.Array) -> jax.Array:
        is_half = jnp.issubdtype(parameter.dtype, jnp.floating) and parameter.dtype.itemsize == 2
        return update.astype(parameter.dtype) if is_half and update.dtype == jnp.float32 else update

    return jax.tree.map(added, parameters, updates)


def _check_unchanged(what: str, expected: PyTree, got: PyTree) -> None:
    difference = first_difference(expected, got)
    if difference:
        raise StateStructureError(
            f"a training step must keep every shape and dtype, but {what} differs {difference}. "
            "Look for a cast in the model or loss, a custom derivative rule, or a learning rate "
            "that is a NumPy or JAX scalar: pass it as float(rate)."
        )
