"""The size of a number, as activations need it."""

import jax.numpy as jnp
from jaxtyping import Array


def magnitude(x: Array) -> Array:
    """|x|, with derivative -1 at 0: that of the left side, as `relu` has it there."""
    return jnp.where(x > 0, x, -x)
