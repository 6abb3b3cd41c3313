"""Options that several losses share."""

import jax.numpy as jnp
from jaxtyping import Array

from ..precision import accumulated


def widened(*arrays: Array) -> tuple[Array, ...]:
    """float16 and bfloat16 as float32, in which a square does not overflow."""
    return tuple(map(accumulated, arrays))


def epsilon_of(epsilon: float | None, y_pred: Array) -> float:
    """`epsilon`, or the distance from 1 to the next number of the data's dtype."""
    return float(jnp.finfo(y_pred.dtype).eps if epsilon is None else epsilon)


def smoothing_error(name: str, label_smoothing: float | None) -> str | None:
    """What is wrong with a fraction of label smoothing, or None."""
    if label_smoothing is None or 0 <= label_smoothing <= 1:
        return None
    return f"`{name}` expects `label_smoothing` in [0, 1] or None, got {label_smoothing!r}."


def complement_power(p: Array, gamma: float) -> Array:
    """(1 - p)^gamma, where rounding may have brought p above 1."""
    rest = 1 - p
    if float(gamma).is_integer():
        return rest ** int(gamma)
    none = rest <= 0
    # A fractional power has no finite derivative at zero.
    return jnp.where(none, jnp.zeros_like(rest), jnp.where(none, 1.0, rest) ** float(gamma))


def weighted(weight: Array, value: Array) -> Array:
    """weight · value, and 0 for an infinite value without weight."""
    void = (weight == 0) & jnp.isinf(value)
    return weight * jnp.where(void, jnp.zeros_like(value), value)
