"""Whether numbers are finite."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def all_finite(tree: PyTree) -> jax.Array:
    """Whether every number of every leaf is finite."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()
