"""Random directions, for estimates of sums over all coordinates."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key
from ...core.internal import check_choice, check_integer
from ...precision.internal import draw_dtype, rounded
from ._points import Field
from ._varying import varying_as

DISTRIBUTIONS = "rademacher", "normal", "coordinates"


def probes(
    owner: str, field: Field, key: Key, samples: int, distribution: str
) -> Float[Array, "*batch samples coordinates"]:
    """Random vectors v at each point, independent of each other, with E[v vᵀ] = 1.

    Args:
        owner: the operator, for messages.
        field: the field.
        key: a random key.
        samples: how many at each point.
        distribution: of their entries: "rademacher", ±1; "normal"; or "coordinates", for a unit
            vector times the square root of their number.

    Raises:
        TypeError: `key` is not a typed random key; `samples` is not an integer.
        ValueError: no samples; an unknown distribution; several keys.
    """
    check_integer(owner, "samples", samples, least=1)
    check_choice(owner, "distribution", distribution, DISTRIBUTIONS)
    key = probe_key(owner, key)
    shape = (*field.batch, samples, field.x.shape[-1])
    return varying_as(field.x, _drawn(key, shape, field.x.dtype, distribution))


def probe_key(owner: str, key: Key) -> Key:
    """`key`, a typed random key.

    Raises:
        TypeError: it is something else.
        ValueError: it is an array of several keys.
    """
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise TypeError(
            f"`{owner}` expects `key` to be a typed random key, got {key!r}. Make one with "
            "jax.random.key(seed)."
        )
    if key.shape:
        raise ValueError(
            f"`{owner}` expects `key` to be one random key, got an array of shape {key.shape}. "
            "Each point has its own directions already; take key[0], or jax.vmap for one estimate "
            "with each key."
        )
    return key


def _drawn(key: Key, shape: tuple[int, ...], dtype: np.dtype, distribution: str) -> Array:
    if distribution == "rademacher":
        return jax.random.rademacher(key, shape, dtype)
    if distribution == "normal":
        return rounded(jax.random.normal(key, shape, draw_dtype(dtype)), dtype)
    chosen = jax.random.randint(key, shape[:-1], 0, shape[-1])
    return math.sqrt(shape[-1]) * jax.nn.one_hot(chosen, shape[-1], dtype=dtype)
