"""The floating leaves of a tree: those that have derivatives."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._types import Leaf

# What JAX raises for a derivative that it does not have, as of a callback, of a `while` loop in
# reverse mode, or of a `custom_vjp` in forward mode.
NO_DERIVATIVE = (TypeError, ValueError, NotImplementedError)


def floating_leaves(tree: PyTree) -> tuple[list[Leaf], Callable[[list[Leaf]], PyTree]]:
    """The floating and complex leaves of `tree`, and a function that puts others in their place.

    Example:
        >>> import jax.numpy as jnp
        >>> leaves, rebuild = floating_leaves({"n": jnp.arange(2), "x": jnp.ones(2, jnp.float32)})
        >>> len(leaves), rebuild([0.0])["x"]
        (1, 0.0)
    """
    leaves, treedef = jax.tree.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(_dtype(leaf), jnp.inexact)]

    def rebuild(values: list[Leaf]) -> PyTree:
        new = list(leaves)
        for place, value in zip(places, values, strict=True):
            new[place] = value
        return jax.tree.unflatten(treedef, new)

    return [leaves[place] for place in places], rebuild


def _dtype(leaf: Leaf) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
