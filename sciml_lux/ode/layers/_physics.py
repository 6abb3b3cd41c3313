"""Physical parameters: free ones, positive ones, and ones between bounds."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ...core import StaticValue
from ...core.internal import check_number

_REAL = "iuf"


class Free(StaticValue):
    """A physical parameter without bounds; users write its initial value alone."""

    initial: Any

    def __post_init__(self) -> None:
        """Check the value."""
        object.__setattr__(self, "initial", _numbers("Free", self.initial))

    def __repr__(self) -> str:
        return repr(self.initial)

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: the parameter itself."""
        return jnp.asarray(self.initial, dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return raw


class Positive(StaticValue):
    """A physical parameter p > 0, trained as log p.

    Args:
        initial: the initial value, a number or an array of numbers.

    Raises:
        TypeError: it is not made of numbers.
        ValueError: it is not above 0, or not finite.

    Example:
        >>> Positive(2.0), Positive([1, 2])
        (Positive(2.0), Positive((1.0, 2.0)))
    """

    initial: Any

    def __post_init__(self) -> None:
        """Check the value."""
        initial = _numbers("Positive", self.initial, above=0)
        object.__setattr__(self, "initial", initial)

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: log p."""
        return jnp.asarray(_logarithms(self.initial), dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return jnp.exp(raw)


class Bounded(StaticValue):
    """A physical parameter between two numbers, trained as log((p - lower) / (upper - p)).

    Args:
        initial: the initial value, a number or an array of numbers, strictly between.
        lower: below it.
        upper: above it.

    Raises:
        TypeError: they are not made of numbers.
        ValueError: they are not finite, or not in order.

    Example:
        >>> import jax.numpy as jnp
        >>> fraction = Bounded(0.25, 0.0, 1.0)
        >>> raw = fraction.raw(jnp.dtype("float32"))
        >>> round(fraction.value(raw).item(), 6), fraction.value(1e3 + raw).item()
        (0.25, 1.0)
    """

    initial: Any
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("lower", "upper"):
            check_number("Bounded", name, getattr(self, name))
            bound = float(getattr(self, name))
            if not math.isfinite(bound):
                raise ValueError(f"`Bounded` expects `{name}` to be finite, got {bound}.")
            object.__setattr__(self, name, bound)
        initial = _numbers("Bounded", self.initial)
        if not np.all((self.lower < np.asarray(initial)) & (np.asarray(initial) < self.upper)):
            raise ValueError(
                f"`Bounded` expects `initial` strictly between {self.lower} and {self.upper}, got "
                f"{initial}."
            )
        object.__setattr__(self, "initial", initial)

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained."""
        initial = np.asarray(self.initial)
        return jnp.asarray(
            _logarithms(initial - self.lower) - _logarithms(self.upper - initial), dtype
        )

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself; where rounding takes it to a bound, exactly that."""
        width = self.upper - self.lower
        from_below = self.lower + width * jax.nn.sigmoid(raw)
        return jnp.where(raw < 0, from_below, self.upper - width * jax.nn.sigmoid(-raw))


Parameter = Free | Positive | Bounded


def as_parameter(value: object, refused: Callable[[], str]) -> Parameter:
    """A parameter; numbers and arrays of them are free ones.

    Args:
        value: what the user gave.
        refused: the message for anything else.

    Raises:
        TypeError: it is anything else.
    """
    if isinstance(value, Parameter):
        return value
    if _array_of_numbers(value) is None:
        raise TypeError(refused())
    return Free(value)


def _numbers(owner: str, value: object, above: float | None = None) -> Any:
    """`value` as a float, or nested tuples of floats."""
    array = _array_of_numbers(value)
    if array is None or array.ndim == 0:
        number = value if array is None or not hasattr(value, "dtype") else array.item()
        check_number(owner, "initial", number, above=above)
        array = np.asarray(number, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"`{owner}` expects `initial` to be finite, got {value}.")
    if above is not None and not (array > above).all():
        raise ValueError(f"`{owner}` expects `initial` to be numbers above {above}, got {value}.")
    return _as_tuples(array.tolist())


def _array_of_numbers(value: object) -> np.ndarray | None:
    """`value` in float64; None where it is not of real numbers, or traced, or empty."""
    if isinstance(value, Tracer):
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    if array.size == 0 or (array.dtype.kind not in _REAL and array.dtype != jnp.bfloat16):
        return None
    return array.astype(np.float64)


def _as_tuples(value: list | float) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _logarithms(values: ArrayLike) -> np.ndarray:
    """The logarithm of each of some numbers, in float64."""
    each = np.asarray(values, np.float64)
    return np.reshape([math.log(value) for value in each.ravel()], each.shape)
