"""Which numbers of a training state must stay finite."""

import jax
import jax.numpy as jnp
import numpy as np

from ...core.internal import path_name
from ._train_state import TrainState


def watched_leaves(tstate: TrainState) -> tuple[int, ...]:
    """The leaves of parameters, states and optimiser state that no step may make infinite or NaN.

    These are all floating and complex leaves, except those that are not finite in `tstate`, and
    those that the optimiser initialises so: the best value of a plateau and the errors of a line
    search are infinite until there is one.

    Returns:
        Positions in `checked_leaves`.
    """
    fresh = tstate.optimizer.init(tstate.parameters)
    begun = jax.tree.leaves((tstate.parameters, tstate.states, fresh))
    now = checked_leaves(tstate)
    return tuple(
        index
        for index, (leaf, first) in enumerate(zip(now, begun, strict=True))
        if _is_finite(leaf) and _is_finite(first)
    )


def checked_leaves(tstate: TrainState) -> list[jax.Array]:
    """The leaves that `watched_leaves` counts."""
    return jax.tree.leaves((tstate.parameters, tstate.states, tstate.optimizer_state))


def checked_names(tstate: TrainState) -> list[str]:
    """What messages call the `checked_leaves`."""
    trees = (
        ("the new `{}`", tstate.parameters),
        ("the new state `{}`", tstate.states),
        ("`{}` in the new state of the optimiser", tstate.optimizer_state),
    )
    return [
        text.format(path_name(path))
        for text, tree in trees
        for path, _ in jax.tree_util.tree_leaves_with_path(tree)
    ]


def each_finite(leaves: list[jax.Array]) -> jax.Array:
    """For each leaf, whether all of its numbers are finite."""
    if not leaves:
        return jnp.ones(0, bool)
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])


def finite_together(leaves: list[jax.Array]) -> jax.Array:
    """Whether all numbers of all leaves are finite.

    Leaves of one shape, such as a parameter and its moments, share one reduction: for small models
    the number of reductions at every step costs more than their size.
    """
    of_shape: dict[tuple[int, ...], jax.Array] = {}
    for leaf in leaves:
        here = jnp.isfinite(leaf)
        of_shape[leaf.shape] = here & of_shape.get(leaf.shape, here)
    return jnp.all(jnp.asarray([jnp.all(here) for here in of_shape.values()], bool))


def _is_finite(leaf: jax.Array) -> bool:
    """Whether `leaf` is floating or complex, and all of its numbers are finite."""
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
        return False
    return bool(np.all(np.isfinite(np.asarray(leaf))))
