"""What an objective is."""

from collections.abc import Callable
from typing import Any

import jax

from ..core import Frozen

Objective = Callable[[Any, Any, Any, Any], tuple[jax.Array, Any, Any]]


def check_objective(objective: Any) -> None:
    """Raise if `objective` cannot be called, or not be looked up.

    Raises:
        TypeError: it is not a function, or an object that cannot be hashed.
    """
    if isinstance(objective, Frozen):  # The losses; first, since a step takes so little time.
        return
    if not callable(objective):
        raise TypeError(
            "the objective must be a function (model, ps, st, data) -> loss, st, stats, got "
            f"{type(objective).__name__}. The order is (tstate, objective, data) for `fit`, "
            "(ad, objective, data, tstate) for a step."
        )
    check_hashable(objective, "the objective")


def check_hashable(function: Any, subject: str) -> None:
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
