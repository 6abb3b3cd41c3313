"""Donated states: a clear error where one is used again."""

from collections.abc import Iterable
from typing import Any

import jax
from jax.core import Tracer

from ..core import path_name


class DonatedStateError(RuntimeError):
    """A `TrainState` is used after a step with `donate=True` handed its memory on.

    The parameters and states that it was made of are gone with it.
    """


def any_deleted(leaves: Iterable[Any]) -> bool:
    """Whether one of `leaves` is an array whose memory is gone."""
    return any(map(_is_deleted, leaves))


def require_alive(subject: str, tree: Any) -> None:
    """Raise if an array of `tree` was deleted.

    Raises:
        DonatedStateError: names the path of the first one, and the remedy.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if _is_deleted(leaf):
            raise DonatedStateError(
                f"{subject}: the array at `{path_name(path)}` was deleted, as a step with "
                "donate=True deletes those of its state, to hand their memory to the state that it "
                "returns. Go on with the returned state, or take the step with donate=False."
            ) from None


def tells_of_deletion(error: Exception) -> bool:
    """Whether JAX or XLA raised `error` for an array that was deleted."""
    return "been deleted" in str(error)


def _is_deleted(leaf: Any) -> bool:
    if isinstance(leaf, Tracer):
        return False
    try:
        return leaf.is_deleted()
    except AttributeError:  # Not an array.
        return False
