"""Options that several losses share."""

import jax.numpy as jnp
from jaxtyping import Array

from ..core import StaticValue
from ..core.internal import check_integer, check_number
from ..precision import accumulated

_LIMITS = {
    "delta": {"above": 0},
    "epsilon": {"least": 0},
    "gamma": {"least": 0},
    "label_smoothing": {"least": 0, "most": 1},
    "margin": {"least": 0},
    "smooth": {"least": 0},
}
_REMEDIES = {"label_smoothing": "None leaves the labels as they are."}


def widened(*arrays: Array) -> tuple[Array, ...]:
    """float16 and bfloat16 as float32, in which a square does not overflow."""
    return tuple(map(accumulated, arrays))


def epsilon_of(epsilon: float | None, y_pred: Array) -> float:
    """`epsilon`, or the distance from 1 to the next number of the data's dtype."""
    return float(jnp.finfo(y_pred.dtype).eps if epsilon is None else epsilon)


def check_options(loss: StaticValue, *names: str) -> None:
    """Raise unless these fields, where they are not None, are numbers in their range.

    Raises:
        TypeError: a field is not a number, `axis` not an integer.
        ValueError: it is out of range.
    """
    owner = type(loss).__name__
    for name in names:
        value = getattr(loss, name)
        if name == "axis":
            check_integer(owner, name, value)
        elif value is not None:
            remedy = _REMEDIES.get(name, "")
            check_number(owner, name, value, **_LIMITS[name], remedy=remedy)


def complement_power(p: Array, gamma: float) -> Array:
    """(1 - p)^gamma, where rounding may have brought p above 1."""
    rest = 1 - p
    if float(gamma).is_integer():
        return rest ** int(gamma)
    zero = rest <= 0
    # A fractional power has no finite derivative at zero.
    return jnp.where(zero, jnp.zeros_like(rest), jnp.where(zero, 1.0, rest) ** float(gamma))


def weighted(weight: Array, value: Array) -> Array:
    """weight · value, and 0 where the weight is 0 and the value infinite."""
    void = (weight == 0) & jnp.isinf(value)
    return weight * jnp.where(void, jnp.zeros_like(value), value)
