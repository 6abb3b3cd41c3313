"""What the calls of compiled steps share: checks before, and an explained error after."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...precision.internal import require_exact_numbers
from ..objectives._objective import Objective, check_objective
from ..state._donation import tells_of_deletion
from ..state._train_state import TrainState
from ._ad import AD, check_ad


def check_arguments(ad: AD, objective: Objective, data: PyTree) -> None:
    """Raise if one of the arguments of a training step is not what it must be."""
    require_exact_numbers(data, "`data`")
    check_ad(ad)
    check_objective(objective)


def call(tstate: TrainState, step: Callable[..., Any], *arguments: PyTree) -> Any:
    """`step(*arguments)`, where some of `arguments` are the arrays of `tstate`.

    Raises:
        DonatedStateError: the arrays of `tstate` were donated before. Asked only after an error of
            JAX, since steps must be fast.
    """
    try:
        return step(*arguments)
    except (RuntimeError, ValueError) as error:
        if tells_of_deletion(error):
            tstate.require_alive()
        raise


def given_away(leaves: list[jax.Array], donate: bool) -> list[Any]:
    """`leaves`, ready to be donated: one that occurs twice is copied, as it can be given once."""
    if not donate or len({id(leaf) for leaf in leaves}) == len(leaves):
        return leaves
    seen: set[int] = set()
    return [jnp.copy(leaf) if id(leaf) in seen or seen.add(id(leaf)) else leaf for leaf in leaves]
