"""Orthogonal weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ..precision.internal import draw_dtype, rounded
from ._initializer import initializer


@initializer
def orthogonal(
    key: Key, shape: tuple[int, ...], dtype: np.dtype, *, gain: float = 1.0
) -> jax.Array:
    """gain times a matrix with orthonormal rows or columns, drawn uniformly (Haar measure).

    The first axis counts the rows, the other axes together the columns. The matrix is the Q of a QR
    decomposition of normal draws, with signs that make the diagonal of R positive; float16 and
    bfloat16 are computed in float32.

    Args:
        key: of the draw.
        shape: of two axes or more.
        dtype: floating or complex; a complex matrix is unitary.
        gain: factor of the matrix.

    Raises:
        ValueError: a shape with fewer than two axes.

    Source: `orthogonal` of WeightInitializers.jl 1.3, where the last axis is set apart: weights are
        (..., in, out) there and (out, in, ...) here. arXiv 1312.6120.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import orthogonal
        >>> weight = orthogonal(jax.random.key(0), (2, 3), jnp.float32)
        >>> (weight @ weight.T).round(3).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if len(shape) < 2:
        raise ValueError(
            f"`orthogonal` expects a shape of two axes or more, got {shape}. Use another "
            "initialiser for a bias."
        )
    if 0 in shape:
        return jnp.zeros(shape, dtype)
    rows, columns = shape[0], math.prod(shape[1:])
    tall = jax.random.normal(key, (max(rows, columns), min(rows, columns)), draw_dtype(dtype))
    q, r = jnp.linalg.qr(tall)
    q = q * jnp.sign(jnp.diagonal(r))[None]
    return rounded(gain * (q if rows >= columns else q.T).reshape(shape), dtype)
