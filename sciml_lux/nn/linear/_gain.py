"""The scale of initial weights that suits the activation after them."""

import math
from collections.abc import Callable

from jaxtyping import Array

# By name, so that jax.nn.relu and jnp.tanh start as nn.relu and nn.tanh do.
_GAINS = {
    "relu": math.sqrt(2.0),
    "leakyrelu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "leaky_relu": math.sqrt(2.0 / (1.0 + 0.01**2)),
    "tanh": 5.0 / 3.0,
    "tanh_fast": 5.0 / 3.0,
    "selu": 3.0 / 4.0,
}


def gain(activation: Callable[[Array], Array]) -> float:
    """The gain of `activation`; 1 if it is not in the table."""
    return _GAINS.get(getattr(activation, "__name__", ""), 1.0)
