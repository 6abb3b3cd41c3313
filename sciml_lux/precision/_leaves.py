"""The floating leaves of a tree, which derivatives are taken with respect to."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# What JAX raises for a derivative that it has not: any of a callback, the reverse one of a `while`
# loop, the forward one of a `custom_vjp`.
NO_DERIVATIVE = (TypeError, ValueError, NotImplementedError)


def floating_leaves(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The floating and complex leaves of `tree`, and a function that puts others in their place.

    Example:
        >>> import jax.numpy as jnp
        >>> leaves, rebuild = floating_leaves({"n": jnp.arange(2), "x": jnp.ones(2, jnp.float32)})
        >>> len(leaves), rebuild([0.0])["x"]
        (1, 0.0)
    """
    leaves, treedef = jax.tree.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(_dtype(leaf), jnp.inexact)]

    def rebuild(values: list[Any]) -> Any:
        new = list(leaves)
        for place, value in zip(places, values, strict=True):
            new[place] = value
        return jax.tree.unflatten(treedef, new)

    return [leaves[place] for place in places], rebuild


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
