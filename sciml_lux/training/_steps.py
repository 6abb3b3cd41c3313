"""One training step: gradients, update, or both in one compiled function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..core import StateStructureError, first_difference
from ..precision import require_uncut
from ._ad import AD
from ._call_update import call_update, extra_arguments
from ._compiled import compiled
from ._donation import tells_of_deletion
from ._loss_scale import loss_scale_of, scaled, states_after, unscaled
from ._objective import Objective, check_objective, evaluate
from ._structure import Structure
from ._train_state import TrainState


def compute_gradients(
    ad: AD, objective: Objective, data: Any, tstate: TrainState
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
    require_uncut(data, "`data`")
    structure, leaves = tstate.flat
    _check_ad(ad)
    check_objective(objective)
    compute = _gradients_function(ad, objective, structure)
    try:
        grads, loss, stats, leaves = compute(leaves, data)
    except (RuntimeError, ValueError) as error:
        _explain_deletion(error, tstate)
        raise
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


def apply_gradients(tstate: TrainState, grads: Any, *, donate: bool = False) -> TrainState:
    """The state after one update of the optimiser.

    Args:
        tstate: the state of training.
        grads: a tree like the parameters.
        donate: hand the memory of `tstate` to the result; see `single_train_step`.

    Raises:
        StateStructureError: `grads` is no tree like the parameters; names the first path.

    Source: `Training.apply_gradients` of Lux 1.31; with `donate`, `apply_gradients!`.
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


def single_train_step(
    ad: AD,
    objective: Objective,
    data: Any,
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
        return_gradients: False returns None for them and spares their memory and the time it
            takes to hand them out.
        donate: hand the memory of `tstate` to the result, which halves what large models need.
            The arrays of `tstate`, the parameters it was made of among them, are gone afterwards;
            using it again is a `DonatedStateError`.

    Returns:
        `grads, loss, stats, tstate`. The loss and the gradient belong to the parameters before
        the step.

    Raises:
        TypeError: the objective returns no triple, no scalar, or a loss in fewer digits than the
            parameters have; float64 NumPy data, x64 off.

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
    require_uncut(data, "`data`")
    structure, leaves = tstate.flat
    _check_ad(ad)
    check_objective(objective)
    step = _step_function(ad, objective, return_gradients, structure, donate=donate)
    try:
        grads, loss, stats, leaves = step(given_away(leaves, donate), data)
    except (RuntimeError, ValueError) as error:
        _explain_deletion(error, tstate)
        raise
    return grads, loss, stats, TrainState.from_flat(structure, leaves)


def train_steps(
    ad: AD, objective: Objective, data: Any, tstate: TrainState, *, steps: int | None = None
) -> tuple[jax.Array, Any, TrainState]:
    """Many steps of training in one compiled loop, for models that a step takes no time for.

    Args:
        ad: how to differentiate.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: a tree of arrays with a leading axis of steps, one entry for each; with `steps`, what
            the objective gets at every step.
        tstate: the state of training.
        steps: the number of steps over the same data.

    Returns:
        `losses, stats, tstate`: (steps,) losses, each of the parameters before its step, and the
        stats with a leading axis of steps. Nothing is refused on the way: see `fit` for that.

    Raises:
        ValueError: `steps` is no positive integer; the leading axes of `data` differ.
        TypeError: the objective returns no triple, no scalar, or a loss in fewer digits than the
            parameters have; float64 NumPy data, x64 off.

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
    require_uncut(data, "`data`")
    _check_steps(data, steps)
    structure, leaves = tstate.flat
    _check_ad(ad)
    check_objective(objective)
    run = _steps_function(ad, objective, steps, structure)
    try:
        values, stats, leaves = run(leaves, data)
    except (RuntimeError, ValueError) as error:
        _explain_deletion(error, tstate)
        raise
    return values, stats, TrainState.from_flat(structure, leaves)


def _check_steps(data: Any, steps: int | None) -> None:
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


def given_away(leaves: list[Any], donate: bool) -> list[Any]:
    """`leaves`, fit to be donated: an array that stands twice is copied, since it can go once."""
    if not donate or len({id(leaf) for leaf in leaves}) == len(leaves):
        return leaves
    seen: set[int] = set()
    return [jnp.copy(leaf) if id(leaf) in seen or seen.add(id(leaf)) else leaf for leaf in leaves]


def _explain_deletion(error: Exception, tstate: TrainState) -> None:
    """Raise an error of ours in place of JAX's; looked for afterwards, since steps are to be fast.

    Raises:
        DonatedStateError: `error` came from the arrays of `tstate`, which were donated before.
    """
    if tells_of_deletion(error):
        tstate.require_alive()


def _check_ad(ad: Any) -> None:
    if not isinstance(ad, AD):
        raise TypeError(
            f"a training step expects the way to differentiate first, AutoReverse(), got {ad!r}. "
            "The order is (AutoReverse(), objective, data, tstate)."
        )


def gradients(
    ad: AD, objective: Objective, data: Any, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """`compute_gradients` without compilation, for use inside a compiled function."""

    _check_ad(ad)
    scale = loss_scale_of(tstate.optimizer_state)

    def loss_of_parameters(ps: Any) -> tuple[jax.Array, tuple[Any, Any, Any]]:
        loss, states, stats = evaluate(objective, tstate.model, ps, tstate.states, data)
        check_loss_dtype(loss, tstate.parameters)
        return scaled(loss, scale), (loss, states, stats)

    differentiate = ad.value_and_gradient(loss_of_parameters)
    (_, (loss, states, stats)), grads = differentiate(tstate.parameters)
    _check_kept("the gradient", tstate.parameters, grads)
    _check_kept("the state", tstate.states, states)
    grads = unscaled(grads, scale)
    states = states_after(states, tstate.states, grads, scale)
    return grads, loss, stats, tstate.replace(states=states)


def check_loss_dtype(loss: Any, parameters: Any) -> None:
    """Raise if `loss` has fewer digits than `parameters`, since its gradient would have no more.

    A loss of more digits is right, as float32 is for parameters in half precision.

    Raises:
        TypeError: it has, or is no float.
    """
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(parameters)]
    reals = [jnp.finfo(dtype).dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.inexact)]
    widest = min(reals, key=_resolution, default=None)
    got = jnp.result_type(loss)
    if widest is None or (
        jnp.issubdtype(got, jnp.inexact) and _resolution(got) <= _resolution(widest)
    ):
        return
    raise TypeError(
        f"the objective must return a loss with the digits of the parameters, {widest} or wider, "
        f"got {got}: the gradient would be {widest} with the digits of {got}. Take away the cast "
        "in the model or loss, convert the model's output before the loss is taken, or train "
        "parameters of that dtype, for example precision.f32(ps)."
    )


def _resolution(dtype: Any) -> float:
    return float(jnp.finfo(dtype).eps)


def line_search_arguments(
    objective: Objective, data: Any, tstate: TrainState, grads: Any, loss: jax.Array
) -> dict[str, Any]:
    """What optax optimisers with a line search or a plateau take beyond the gradient."""

    def loss_of_parameters(ps: Any) -> jax.Array:
        return objective(tstate.model, ps, tstate.states, data)[0]

    return extra_arguments(loss, grads, loss_of_parameters)


def update(tstate: TrainState, grads: Any, extra: dict[str, Any] | None = None) -> TrainState:
    """`apply_gradients` without compilation, for use inside a compiled function."""
    # optax mixes step counts and floats, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, optimizer_state = call_update(
            tstate.optimizer, grads, tstate.optimizer_state, tstate.parameters, extra or {}
        )
        # optax would cast an update of another dtype to that of the parameter, in silence.
        added = _as_added(tstate.parameters, updates)
        _check_kept("the optimiser's update", tstate.parameters, added)
        parameters = optax.apply_updates(tstate.parameters, updates)
    _check_kept("the optimiser's state", tstate.optimizer_state, optimizer_state)
    return tstate.replace(
        parameters=parameters, optimizer_state=optimizer_state, step=tstate.step + 1
    )


def _as_added(parameters: Any, updates: Any) -> Any:
    """`updates` in the dtype of the sum: half precision takes float32's and is rounded once."""
    if jax.tree.structure(parameters) != jax.tree.structure(updates):
        return updates

    def added(parameter: jax.Array, update: jax.Array) -> jax.Array:
        is_half = jnp.issubdtype(parameter.dtype, jnp.floating) and parameter.dtype.itemsize == 2
        return update.astype(parameter.dtype) if is_half and update.dtype == jnp.float32 else update

    return jax.tree.map(added, parameters, updates)


def one_step(
    ad: AD, objective: Objective, data: Any, tstate: TrainState
) -> tuple[Any, jax.Array, Any, TrainState]:
    """`single_train_step` without compilation, for use inside a compiled function."""
    grads, loss, stats, moved = gradients(ad, objective, data, tstate)
    extra = line_search_arguments(objective, data, tstate, grads, loss)
    return grads, loss, stats, update(moved, grads, extra)


def _check_kept(what: str, expected: Any, got: Any) -> None:
    difference = first_difference(expected, got)
    if difference:
        raise StateStructureError(
            f"a training step must keep every shape and dtype, but {what} differs {difference}. "
            "Look for a cast in the model or loss, a custom derivative rule, or a learning rate "
            "that is a NumPy or JAX scalar: pass it as float(rate)."
        )


@compiled
def _gradients_function(ad: AD, objective: Objective, structure: Structure) -> Callable[..., Any]:
    def compute(leaves: list[Any], data: Any) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, tstate = gradients(ad, objective, data, tstate)
        return grads, loss, stats, tstate.flat[1]

    return compute


@compiled
def _update_function(structure: Structure) -> Callable[..., Any]:
    def apply(leaves: list[Any], grads: Any) -> list[Any]:
        return update(TrainState.from_flat(structure, leaves), grads).flat[1]

    return apply


@compiled
def _step_function(
    ad: AD, objective: Objective, return_gradients: bool, structure: Structure
) -> Callable[..., Any]:
    def step(leaves: list[Any], data: Any) -> tuple[Any, jax.Array, Any, list[Any]]:
        tstate = TrainState.from_flat(structure, leaves)
        grads, loss, stats, tstate = one_step(ad, objective, data, tstate)
        return grads if return_gradients else None, loss, stats, tstate.flat[1]

    return step


@compiled
def _steps_function(
    ad: AD, objective: Objective, steps: int | None, structure: Structure
) -> Callable[..., Any]:
    def body(leaves: list[Any], data: Any) -> tuple[list[Any], Any]:
        tstate = TrainState.from_flat(structure, leaves)
        _, loss, stats, tstate = one_step(ad, objective, data, tstate)
        return tstate.flat[1], (loss, stats)

    def run(leaves: list[Any], data: Any) -> tuple[jax.Array, Any, list[Any]]:
        if steps is None:
            leaves, (values, stats) = jax.lax.scan(body, leaves, data)
        else:
            leaves, (values, stats) = jax.lax.scan(
                lambda leaves, _: body(leaves, data), leaves, None, length=steps
            )
        return values, stats, leaves

    return run
