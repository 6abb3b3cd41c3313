"""A moving average of the parameters, as a part of the optimiser's state."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ...core import Parameters, StateStructureError
from ...core.internal import first_difference
from ...precision import accumulated, tree_dtype
from ...precision.internal import python_numbers
from ._call_update import call_update
from ._is_optax import check_optax

# exp of anything below is lost beside 1 in every dtype.
_LOG_NOTHING = -100.0


class AverageState(NamedTuple):
    """The state of an optimiser made by `with_average`.

    Attributes:
        inner_state: of the optimiser inside.
        average: of the parameters, in the dtype of their sums.
        log_rest: the logarithm of the weight that the initial parameters still have.
        num_updates: the number of updates made.
    """

    inner_state: Any
    average: Any
    log_rest: jax.Array
    num_updates: jax.Array


def with_average(
    optimizer: optax.GradientTransformation,
    decay: float | optax.Schedule = 0.999,
    *,
    debias: bool = True,
) -> optax.GradientTransformationExtraArgs:
    """`optimizer`, which also computes an exponential moving average of the parameters.

    After each update average ← average + (1 - decay) (parameters - average). It is
    `tstate.averaged_parameters`, and `fit` validates with it. As part of the optimiser's state it
    is saved, resumed, donated and sharded with the rest. float16 and bfloat16 parameters are
    averaged in float32. Running statistics, as of a `BatchNorm`, belong to the parameters
    themselves and are not averaged.

    Args:
        optimizer: an optax optimiser; the whole one, not a part of a chain.
        decay: in [0, 1), or a function of the number of updates before, such as a schedule of
            `training.schedules`.
        debias: divide by 1 - decay^t after t updates, so that the initial parameters do not count.
            False keeps them in, with the weight decay^t.

    Raises:
        TypeError: `optimizer` is not an optax optimiser.
        ValueError: `decay` outside [0, 1); an update without the parameters.

    Source: `optax.ema` and `optax.incremental_update`; `torch.optim.swa_utils.AveragedModel`.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> optimizer = training.with_average(optax.sgd(1.0), 0.5)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optimizer)
        >>> for _ in range(2):  # 1, 0, -1
        ...     ts = training.apply_gradients(ts, jax.tree.map(jnp.ones_like, ts.parameters))
        >>> ts.parameters.weight.item(), round(ts.averaged_parameters.weight.item(), 5)
        (-1.0, -0.66667)
    """
    check_optax("with_average", optimizer)
    decay = python_numbers(decay)
    if not callable(decay) and not (isinstance(decay, int | float) and 0 <= decay < 1):
        raise ValueError(
            f"`with_average` expects `decay` in [0, 1) or a function of the step, got {decay!r}."
        )

    def init(params: Parameters) -> AverageState:
        # Copies, since a donated step gives each array away once.
        average = jax.tree.map(lambda p: jnp.array(accumulated(p), copy=True), params)
        zero = jnp.zeros((), jnp.finfo(tree_dtype(average) or jnp.float32).dtype)
        return AverageState(optimizer.init(params), average, zero, jnp.zeros((), jnp.int32))

    def update(
        updates: PyTree, state: PyTree, params: Parameters = None, **extra: PyTree
    ) -> tuple[Any, AverageState]:
        if params is None:
            raise ValueError(
                "`with_average` expects the parameters, got None. Call "
                "optimizer.update(gradients, state, parameters)."
            )
        updates, inner = call_update(optimizer, updates, state.inner_state, params, extra)
        log_rest, rate = _rate(
            decay(state.num_updates) if callable(decay) else decay, state, debias
        )
        new = optax.apply_updates(params, updates)
        average = jax.tree.map(
            lambda a, p: a + rate.astype(a.dtype) * (accumulated(p) - a), state.average, new
        )
        return updates, AverageState(inner, average, log_rest, state.num_updates + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def average_of(parameters: Parameters, optimizer_state: PyTree) -> Any:
    """The average in `optimizer_state` in the dtypes of `parameters`, or None.

    Raises:
        StateStructureError: it is an average of some parameters only.
    """
    nodes = jax.tree.leaves(optimizer_state, is_leaf=_is_average)
    found = next((node for node in nodes if _is_average(node)), None)
    if found is None:
        return None
    difference = first_difference(parameters, found.average, lambda leaf: f"shape {leaf.shape}")
    if difference:
        raise StateStructureError(
            f"`averaged_parameters`: the average is not one of all parameters, {difference}. Put "
            "training.with_average around the whole optimiser."
        )
    return jax.tree.map(lambda a, p: a.astype(p.dtype), found.average, parameters)


def _rate(decay: ArrayLike, state: AverageState, debias: bool) -> tuple[jax.Array, jax.Array]:
    """The next `log_rest`, and how far the average moves to the new parameters.

    1 - decay^t is computed by `expm1`, which is exact at the first steps and after many.
    """
    dtype = state.log_rest.dtype
    if isinstance(decay, int | float):
        log_decay = math.log(decay) if decay else _LOG_NOTHING
    else:
        log_decay = jnp.log(decay)
    log_rest = jnp.maximum(state.log_rest + log_decay, _LOG_NOTHING).astype(dtype)
    new = jnp.asarray(1 - decay, dtype)
    return log_rest, new / -jnp.expm1(log_rest) if debias else new


def _is_average(node: PyTree) -> bool:
    return isinstance(node, AverageState)
