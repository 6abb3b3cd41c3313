"""Donated states: a clear error where one is used again."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.core import Tracer
from jaxtyping import PyTree

from ...core.internal import path_name


class DonatedStateError(RuntimeError):
    """A `TrainState` is used after a step with `donate=True` gave its memory away.

    The parameters and states that it was made from are deleted with it.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.5))
        >>> grads = jax.tree.map(jnp.ones_like, ts.parameters)
        >>> after = training.apply_gradients(ts, grads, donate=True)
        >>> try:
        ...     ts.parameters
        ... except training.DonatedStateError as error:
        ...     print(error)
        `TrainState`: the array at `parameters.weight` was deleted, as a step with donate=True
        deletes those of its state, ...
    """


def any_deleted(leaves: Sequence[Any]) -> bool:
    """Whether one of `leaves` is an array whose memory is gone."""
    # By type, of which there are few: asking for the attribute of each leaf would cost more.
    arrays = {kind for kind in set(map(type, leaves)) if _can_be_deleted(kind)}
    return any([leaf.is_deleted() for leaf in leaves if type(leaf) in arrays])


def require_alive(subject: str, tree: PyTree) -> None:
    """Raise if an array of `tree` was deleted.

    Raises:
        DonatedStateError: names the path of the first one, and the remedy.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if any_deleted([leaf]):
            raise DonatedStateError(
                f"{subject}: the array at `{path_name(path)}` was deleted, as a step with "
                "donate=True deletes those of its state, to give their memory to the state that it "
                "returns. Go on with the returned state, or take the step with donate=False."
            ) from None


def tells_of_deletion(error: Exception) -> bool:
    """Whether JAX or XLA raised `error` for an array that was deleted."""
    return "been deleted" in str(error)


def _can_be_deleted(kind: type) -> bool:
    return hasattr(kind, "is_deleted") and not issubclass(kind, Tracer)
