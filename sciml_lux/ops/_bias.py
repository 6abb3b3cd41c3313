"""Bias and activation after a linear map."""

from collections.abc import Callable

import jax
from jaxtyping import Array

from ..precision import promote


def bias_activation(
    activation: Callable[[Array], Array], y: Array, bias: Array | None = None
) -> Array:
    """activation(y + b), with b (features,) over the last axis, or None."""
    if bias is not None:
        y, bias = promote(y, bias)
        y = y + jax.lax.broadcast_in_dim(bias, y.shape, (y.ndim - 1,))
    return activation(y)
