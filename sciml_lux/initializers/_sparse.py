"""Sparse weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ._initializer import initializer
from ._normal import normal


@initializer
def sparse_init(
    key: Key,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    sparsity: float,
    std: float = 0.01,
) -> jax.Array:
    """Draws from N(0, std²) with ⌈sparsity · rows⌉ zeros in each column, at random places.

    Args:
        key: of the draw.
        shape: (rows, columns), which are outputs and inputs.
        dtype: floating or complex.
        sparsity: the fraction of zeros, from 0 to 1; required.
        std: standard deviation of the other entries.

    Raises:
        ValueError: a shape of other than two axes, or `sparsity` outside of [0, 1].

    Source: `sparse_init` of WeightInitializers.jl 1.3; Martens, ICML 2010.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import sparse_init
        >>> weight = sparse_init(jax.random.key(0), (4, 3), jnp.float32, sparsity=0.5)
        >>> (weight == 0.0).sum(axis=0).tolist()
        [2, 2, 2]
    """
    if len(shape) != 2:
        raise ValueError(f"`sparse_init` expects a shape of two axes, got {shape}.")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"`sparse_init` expects `sparsity` from 0 to 1, got {sparsity}.")
    values, places = jax.random.split(key)
    # In floating point 0.07 times 100 is 7.000000000000001, which would round up to 8.
    zeros = math.ceil(round(sparsity * shape[0], 9))
    first = jnp.broadcast_to(jnp.arange(shape[0], dtype=jnp.int32)[:, None] >= zeros, shape)
    kept = jax.random.permutation(places, first, axis=0, independent=True)
    draw = normal(values, shape, dtype, std=std)
    return jnp.where(kept, draw, jnp.zeros_like(draw))
