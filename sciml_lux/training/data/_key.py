"""as_key: random keys, from keys and from integer seeds."""

import jax
import jax.numpy as jnp
import numpy as np

from ...core.internal import seeded_key


def as_key(key: object, subject: str) -> jax.Array:
    """`key`, or the key of an integer seed.

    Raises:
        TypeError: `key` is neither.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return seeded_key(int(key), subject)
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    raise TypeError(
        f"{subject} expects `key` to be a typed random key or an integer seed, got "
        f"{type(key).__name__}. Make one with jax.random.key(seed)."
    )


def key_words(key: jax.Array) -> list[int]:
    """The numbers of a key."""
    return np.asarray(jax.random.key_data(key)).tolist()
