"""Python numbers as arrays."""

from typing import Any

import jax.numpy as jnp


def as_array(value: object) -> Any:
    """Numbers and lists of them as an array; arrays and None as they are."""
    return value if value is None or hasattr(value, "dtype") else jnp.asarray(value)
