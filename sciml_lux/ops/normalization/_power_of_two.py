"""Powers of two, by which numbers are scaled without rounding."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def inverse_power_of_two(size: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The power of two that brings `size`, of at least 0, into [2, 4), and 1 for 0; a constant."""
    # By the bits of the exponent, since `exp2` need not be exact.
    all_ones = np.asarray(np.inf, size.dtype).view(f"int{jnp.finfo(size.dtype).bits}")
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(size), all_ones.dtype) & all_ones
    power = jax.lax.bitcast_convert_type(all_ones - bits, size.dtype)
    return jnp.where(bits == 0, jnp.ones_like(power), power)
