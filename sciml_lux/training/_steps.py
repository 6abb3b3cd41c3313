"""One training step: gradients, update, or both in one compiled function."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ..core import StateStructureError, describe, first_difference
from ..precision import require_x64_for
from ._ad import AutoReverse
from ._train_state import Structure, TrainState

Objective = Callable[[Any, Any, Any, Any], tuple[jax.Array, Any, Any]]


def compute_gradients(
    ad: AutoReverse, objective: Objective, data: Any, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """The gradient of `objective` with respect to the parameters.

    Args:
        ad: how to differentiate, `AutoReverse()`.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one. It is
            compiled once for each objective, model and shape: pass the same function each time.
        data: what the objective gets, a tree of arrays.
        tstate: the state of training.

    Returns:
        `grads, loss, stats, tstate`: a tree like the parameters, a scalar, what the objective
        returned, and the state with the new model states.

    Raises:
        TypeError: the objective returns no triple or no scalar; float64 NumPy data, x64 off.

    Source: `Training.compute_gradients` of Lux 1.31.
    """
    require_x64_for(data, "`data`")
    structure, leaves = tstate.flat
    compiled = _gradients_function(ad, objective, structure)
    grads, loss, stats, leaves = compiled(leaves, data)
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


def apply_gradients(tstate: TrainState, grads: Any) -> TrainState:
    """The state after one update of the optimiser.

    Raises:
        StateStructureError: `grads` is no tree like the parameters; names the first path.

    Source: `Training.apply_gradients` of Lux 1.31.
    """
    difference = first_difference(tstate.parameters, grads)
    if difference:
        raise StateStructureError(
            f"`apply_gradients` expects `grads` to be a tree like the parameters, {difference}. "
            "Pass what compute_gradients returned."
        )
    structure, leaves = tstate.flat
    return TrainState.from_flat(structure, _update_function(structure)(leaves, grads))


def single_train_step(
    ad: AutoReverse,
    objective: Objective,
    data: Any,
    tstate: TrainState,
    *,
    return_gradients: bool = True,
) -> tuple[Any, jax.Array, Any, TrainState]:
    """One step of training, gradient and update in one compiled function.

    Args:
        ad: how to differentiate, `AutoReverse()`.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: what the objective gets.
        tstate: the state of training.
        return_gradients: False returns None for them and spares their memory and the time it
            takes to hand them out.

    Returns:
        `grads, loss, stats, tstate`. The loss and the gradient belong to the parameters before
        the step.

    Raises:
        TypeError: the objective returns no triple or no scalar; float64 NumPy data, x64 off.

    Source: `Training.single_train_step` of Lux 1.31.

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
    require_x64_for(data, "`data`")
    structure, leaves = tstate.flat
    compiled = _step_function(ad, objective, return_gradients, structure)
    grads, loss, stats, leaves = compiled(leaves, data)
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


def _check_ad(ad: Any) -> None:
    if not isinstance(ad, AutoReverse):
        raise TypeError(
            f"a training step expects the way to differentiate first, AutoReverse(), got {ad!r}. "
            "The order is (AutoReverse(), objective, data, tstate)."
        )


def gradients(
    ad: AutoReverse, objective: Objective, data: Any, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """`compute_gradients` without compilation, for use inside a compiled function."""

    _check_ad(ad)

    def loss_of_parameters(ps: Any) -> tuple[jax.Array, tuple[Any, Any]]:
        output = objective(tstate.model, ps, tstate.states, data)
        if not (isinstance(output, tuple) and len(output) == 3):
            raise TypeError(
                "the objective must return (loss, st, stats), got "
                f"{type(output).__name__}. Write `return loss, st, {{}}`."
            )
        loss, states, stats = output
        if jnp.shape(loss) != ():
            raise TypeError(
                f"the objective must return a scalar loss, got {describe(loss)}. Take the mean, "
                "or set `agg`."
            )
        return loss, (states, stats)

    differentiate = ad.value_and_gradient(loss_of_parameters)
    (loss, (states, stats)), grads = differentiate(tstate.parameters)
    _check_kept("the gradient", tstate.parameters, grads)
    _check_kept("the state", tstate.states, states)
    return grads, loss, stats, tstate.replace(states=states)


def line_search_arguments(
    objective: Objective, data: Any, tstate: TrainState, grads: Any, loss: jax.Array
) -> dict[str, Any]:
    """What optax optimisers with a line search or a plateau take beyond the gradient."""

    def loss_of_parameters(ps: Any) -> jax.Array:
        return objective(tstate.model, ps, tstate.states, data)[0]

    return {"value": loss, "grad": grads, "value_fn": loss_of_parameters}


def update(tstate: TrainState, grads: Any, extra: dict[str, Any] | None = None) -> TrainState:
    """`apply_gradients` without compilation, for use inside a compiled function."""
    optimizer = optax.with_extra_args_support(tstate.optimizer)
    # optax mixes step counts and floats, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = optimizer.update(
            grads, tstate.optimizer_state, tstate.parameters, **(extra or {})
        )
        # optax would cast an update of another dtype to that of the parameter, in silence.
        _check_kept("the optimiser's update", tstate.parameters, updates)
        parameters = optax.apply_updates(tstate.parameters, updates)
    _check_kept("the optimiser's state", tstate.optimizer_state, optimizer_state)
    return tstate.replace(
        parameters=parameters, optimizer_state=optimizer_state, step=tstate.step + 1
    )


def _check_kept(what: str, expected: Any, got: Any) -> None:
    difference = first_difference(expected, got)
    if difference:
        raise StateStructureError(
            f"a training step must keep every shape and dtype, but {what} differs {difference}. "
            "Look for a cast in the model or loss, a custom derivative rule, or a learning rate "
            "that is a NumPy or JAX scalar: pass it as float(rate)."
        )


@functools.lru_cache(maxsize=256)
def _gradients_function(
    ad: AutoReverse, objective: Objective, structure: Structure
) -> Callable[..., Any]:
    @jax.jit
    def compute(leaves: list[Any], data: Any) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, tstate = gradients(ad, objective, data, tstate)
        return grads, loss, stats, tstate.flat[1]

    return compute


@functools.lru_cache(maxsize=256)
def _update_function(structure: Structure) -> Callable[..., Any]:
    @jax.jit
    def apply(leaves: list[Any], grads: Any) -> list[Any]:
        return update(TrainState.from_flat(structure, leaves), grads).flat[1]

    return apply


@functools.lru_cache(maxsize=256)
def _step_function(
    ad: AutoReverse, objective: Objective, return_gradients: bool, structure: Structure
) -> Callable[..., Any]:
    @jax.jit
    def step(leaves: list[Any], data: Any) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, moved = gradients(ad, objective, data, tstate)
        extra = line_search_arguments(objective, data, tstate, grads, loss)
        moved = update(moved, grads, extra)
        return grads if return_gradients else None, loss, stats, moved.flat[1]

    return step
