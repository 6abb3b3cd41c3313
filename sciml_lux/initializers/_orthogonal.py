"""Orthogonal weights."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..precision._draws import draw_dtype, rounded
from ._initializer import initializer


@initializer
def orthogonal(
    key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, *, gain: float = 1.0
) -> jax.Array:
    """gain times a matrix with orthonormal rows or columns, drawn evenly from all there are.

    Rows are the entries of the first axis, columns those of all others. The matrix is Q of QR of a
    normal one, with the signs that make the diagonal of R positive; float16 and bfloat16 are
    computed in float32.

    Args:
        key: of the draw.
        shape: of two axes or more.
        dtype: floating or complex; of complex numbers, the matrix is unitary.
        gain: factor of the matrix.

    Raises:
        ValueError: a shape with fewer than two axes.

    Source: `orthogonal` of WeightInitializers.jl 1.3, where the last axis is set apart: weights are
        (..., in, out) there and (out, in, ...) here. arXiv 1312.6120.
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
