"""The call of an optax optimiser, with the arguments that it may take beyond the gradient."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from ...core import Parameters


def extra_arguments(
    loss: jax.Array, grads: PyTree, loss_of_parameters: Callable[[Parameters], jax.Array]
) -> dict:
    """The extra arguments that a training step offers an optimiser, by their names in optax."""
    return {"value": loss, "grad": grads, "value_fn": loss_of_parameters}


def call_update(
    optimizer: optax.GradientTransformation,
    grads: PyTree,
    optimizer_state: PyTree,
    parameters: Parameters,
    extra: dict[str, PyTree],
) -> tuple[Any, Any]:
    """The updates and the next state; of `extra`, the optimiser gets the arguments it takes."""
    update = optax.with_extra_args_support(optimizer).update
    takes = inspect.signature(update).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        extra = {name: value for name, value in extra.items() if name in takes}
    return update(grads, optimizer_state, parameters, **extra)
