"""Objectives: their type, and checks of what they take and return."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, States, StaticValue
from ...core.internal import describe

Objective = Callable[[Any, Any, Any, Any], tuple[jax.Array, Any, Any]]


def check_objective(objective: object) -> None:
    """Raise if `objective` cannot be called or looked up.

    Raises:
        TypeError: it is not a function, or an object that cannot be hashed.
    """
    if isinstance(objective, StaticValue):  # All of `losses`; first, since every step asks.
        return
    if not callable(objective):
        raise TypeError(
            "the objective must be a function (model, ps, st, data) -> loss, st, stats, got "
            f"{type(objective).__name__}. The order is (tstate, objective, data) for `fit`, "
            "(ad, objective, data, tstate) for a step."
        )
    check_hashable(objective, "the objective")


def evaluate(
    objective: Objective, model: LayerLike, ps: Parameters, st: States, data: PyTree
) -> tuple[jax.Array, Any, Any]:
    """`loss, st, stats` of `objective`, checked while a step is traced, not when it runs.

    Raises:
        TypeError: the objective takes other arguments, or returns something else.
    """
    _check_arguments(objective)
    output = objective(model, ps, st, data)
    if not (isinstance(output, tuple) and len(output) == 3):
        got = f"a tuple of {len(output)}" if isinstance(output, tuple) else describe(output)
        raise TypeError(
            f"the objective must return (loss, st, stats), got {got}. "
            "Write `return loss, st, {}`."
        )
    if jnp.shape(output[0]) != ():
        raise TypeError(
            f"the objective must return a scalar loss, got {describe(output[0])}. Take the mean, "
            "or set `agg`."
        )
    return output


def _check_arguments(objective: Objective) -> None:
    try:
        signature = inspect.signature(objective)
    except (TypeError, ValueError):  # Such as one written in C, which raises when it is called.
        return
    try:
        signature.bind(None, None, None, None)
    except TypeError:
        raise TypeError(
            "the objective is called with (model, ps, st, data) and returns loss, st, stats, but "
            f"got one that takes {signature}. Make one of a function of (y_pred, y) with "
            "losses.GenericLossFunction."
        ) from None


def check_hashable(function: object, subject: str) -> None:
    """Raise if `function` cannot be hashed.

    Raises:
        TypeError: names it as `subject`.
    """
    try:
        hash(function)
    except TypeError:
        raise TypeError(
            f"{subject}, a {type(function).__name__}, must be hashable, since it is compiled once "
            "and looked up later. Make its class a frozen dataclass, or pass a function."
        ) from None
