"""Random keys from integer seeds."""

import jax

from ..precision.internal import x64_enabled


def seeded_key(seed: int, subject: str) -> jax.Array:
    """The random key of an integer seed.

    Args:
        seed: an integer; signed with 64 bits, or unsigned with 32 bits while x64 is off.
        subject: the first words of the message.

    Raises:
        ValueError: the seed is out of this range: JAX would cut it, so that 2**32 would be 0.

    Example:
        >>> seeded_key(3, "`setup`").shape
        ()
    """
    low, high = (-(2**63), 2**63) if x64_enabled() else (0, 2**32)
    if not low <= seed < high:
        hint = "" if x64_enabled() else ", or call jax.config.update('jax_enable_x64', True)"
        raise ValueError(
            f"{subject} expects an integer seed from {low} to {high - 1}, got {seed}: JAX would "
            f"cut it. Pass another seed{hint}."
        )
    return jax.random.key(int(seed))
