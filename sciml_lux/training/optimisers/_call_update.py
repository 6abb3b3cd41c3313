"""The call of an optax optimiser, with what it may ask for beyond the gradient."""

import inspect
from collections.abc import Callable
from typing import Any

import optax


def extra_arguments(loss: Any, grads: Any, loss_of_parameters: Callable[[Any], Any]) -> dict:
    """What a training step offers an optimiser, under the names of optax."""
    return {"value": loss, "grad": grads, "value_fn": loss_of_parameters}


def call_update(
    optimizer: Any, grads: Any, optimizer_state: Any, parameters: Any, extra: dict[str, Any]
) -> tuple[Any, Any]:
    """The updates and the next state, given those of the `extra` arguments that it takes."""
    update = optax.with_extra_args_support(optimizer).update
    takes = inspect.signature(update).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        extra = {name: value for name, value in extra.items() if name in takes}
    return update(grads, optimizer_state, parameters, **extra)
