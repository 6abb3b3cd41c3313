"""Parameters of a known form, kept positive by reparametrisation."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Frozen


class Positive(Frozen):
    """A physical parameter p > 0, trained as log p.

    Args:
        initial: its value at the start.

    Raises:
        TypeError: not a number.
        ValueError: not above 0, or not finite.

    Example:
        >>> Positive(2.0)
        Positive(2.0)
    """

    initial: float

    def __post_init__(self) -> None:
        """Check the value."""
        is_number = isinstance(self.initial, int | float | np.integer | np.floating)
        if not is_number or isinstance(self.initial, bool):
            raise TypeError(f"`Positive` expects a number, such as 2.0, got {self.initial!r}.")
        if not 0 < self.initial < math.inf:
            raise ValueError(f"`Positive` expects a value above 0, got {self.initial}.")

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: log p, a scalar."""
        return jnp.asarray(math.log(self.initial), dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return jnp.exp(raw)


class Free(Frozen):
    """A physical parameter without bounds; it is given, and prints, as its number."""

    initial: float

    def __repr__(self) -> str:
        return repr(self.initial)

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: the parameter itself, a scalar."""
        return jnp.asarray(self.initial, dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return raw
