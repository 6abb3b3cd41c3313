"""PeriodicEmbedding: sine and cosine in place of periodic inputs."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core import Layer, Parameters, States
from ...core.internal import is_integer, subject
from ...ops import periodic_sin_cos
from ...precision import accumulating
from .._array_check import check_array


class PeriodicEmbedding(Layer):
    """y = (the other inputs, sin(2πxᵢ/periodᵢ), cos(2πxᵢ/periodᵢ)), over the last axis of x.

    The listed inputs are removed, and all their sines, then all their cosines, are appended; the
    other inputs keep their order. Any function of y is periodic in the listed inputs.

    Args:
        indices: positions of the periodic inputs, counted from 0.
        periods: their periods, in the same order.

    Inputs: x (..., in_dims), floating, in_dims above every index.

    Returns: y (..., in_dims + len(indices)), in the dtype of x. Large inputs lose no digits: they
        are reduced modulo the period exactly.

    Raises:
        ValueError: different numbers of indices and periods, an index twice or below 0, a period
            that is not positive and finite; x without such an index.
        TypeError: an index is not an integer; x is not real and floating.

    Source: `PeriodicEmbedding` of Boltz 1.7, which counts from 1 and keeps indices and periods in
        the states.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record, nn
        >>> model = nn.PeriodicEmbedding((1,), (4.0,))
        >>> x = jnp.asarray([5.0, 8.0, 7.0], jnp.float32)
        >>> model(x, Record(), Record())[0].tolist()
        [5.0, 7.0, 0.0, 1.0]
    """

    indices: tuple[int, ...]
    periods: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check indices and periods."""
        for name in ("indices", "periods"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not all(map(is_integer, self.indices)):
            raise TypeError(
                f"`PeriodicEmbedding` expects `indices` to be integers, got {self.indices}."
            )
        if len(self.indices) != len(self.periods):
            raise ValueError(
                "`PeriodicEmbedding` expects a period for each index, got "
                f"{len(self.indices)} indices and {len(self.periods)} periods."
            )
        if len(set(self.indices)) < len(self.indices) or min(self.indices, default=0) < 0:
            raise ValueError(
                "`PeriodicEmbedding` expects `indices` to be different and at least 0, got "
                f"{self.indices}."
            )
        if not all(p > 0 and math.isfinite(p) for p in self.periods):
            raise ValueError(
                f"`PeriodicEmbedding` expects `periods` to be positive, got {self.periods}."
            )

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... embedded_dims"], States]:
        """The embedded input, and `st` as it was."""
        check_array(self, x)
        if x.ndim == 0 or x.shape[-1] <= max(self.indices, default=0):
            raise ValueError(
                f"{subject(self)} expects the last axis of `x` to be at least "
                f"{max(self.indices, default=0) + 1} for the indices {self.indices}, got shape "
                f"{x.shape}."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{subject(self)} expects `x` to be real and floating, got {x.dtype.name}. Convert "
                "it: x.astype(dtype)."
            )
        others = [i for i in range(x.shape[-1]) if i not in self.indices]
        sines, cosines = periodic_sin_cos(
            _columns(x, self.indices), jnp.asarray(self.periods, x.dtype)
        )
        return jnp.concatenate([_columns(x, others), sines, cosines], axis=-1), st


def _columns(x: Array, indices: Any) -> Array:
    indices = jnp.asarray(indices, jnp.int32)
    return accumulating(lambda x: jnp.take(x, indices, axis=-1, mode="clip"), x)
