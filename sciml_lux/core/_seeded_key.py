"""Random keys from integer seeds."""

import jax

from ..precision.internal import x64_enabled


def seeded_key(seed: int, subject: str) -> jax.Array:
    """The key of `seed`, which opens the message of an error with `subject`.

    Raises:
        ValueError: JAX would cut the seed: it has 64 bits with their sign, and with x64 off 32
            without, where 2**32 would be 0.
    """
    low, high = (-(2**63), 2**63) if x64_enabled() else (0, 2**32)
    if not low <= seed < high:
        hint = "" if x64_enabled() else ", or call jax.config.update('jax_enable_x64', True)"
        raise ValueError(
            f"{subject} expects an integer seed from {low} to {high - 1}, got {seed}: JAX would "
            f"cut it. Pass another seed{hint}."
        )
    return jax.random.key(int(seed))
