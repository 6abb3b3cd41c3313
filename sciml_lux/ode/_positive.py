"""Physical parameters: positive ones, trained as logarithms, and free ones."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import StaticValue
from ..core.internal import check_number


class Positive(StaticValue):
    """A physical parameter p > 0, trained as log p.

    Args:
        initial: the initial value.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not above 0, or not finite.

    Example:
        >>> Positive(2.0)
        Positive(2.0)
    """

    initial: float

    def __post_init__(self) -> None:
        """Check the value."""
        check_number("Positive", "initial", self.initial, above=0)
        if self.initial == math.inf:
            raise ValueError("`Positive` expects `initial` to be finite, got inf.")

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: log p, a scalar."""
        return jnp.asarray(math.log(self.initial), dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return jnp.exp(raw)


class Free(StaticValue):
    """A physical parameter without bounds; users write a number, and it prints as one."""

    initial: float

    def __repr__(self) -> str:
        return repr(self.initial)

    def raw(self, dtype: np.dtype) -> jax.Array:
        """What is trained: the parameter itself, a scalar."""
        return jnp.asarray(self.initial, dtype)

    def value(self, raw: jax.Array) -> jax.Array:
        """The parameter itself."""
        return raw
