"""Losses for positive quantities and counts."""

import jax.numpy as jnp
from jaxtyping import Array

from ..ops import xlogy
from ._loss_function import LossFunction
from ._options import check_options, epsilon_of, widened


class MSLELoss(LossFunction):
    """agg(log((y_pred + ε) / (y + ε))²).

    Args:
        agg: how the elements become one number.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.

    Inputs: both positive; a negative ratio gives NaN.

    Source: `MSLELoss` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([1.0, 2.0, 3.0], jnp.float32)
        >>> round(MSLELoss()(1.1 * y, y).item(), 5)
        0.00908
    """

    real_only = True
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The squared logarithm of the ratio."""
        epsilon = epsilon_of(self.epsilon, y_pred)
        y_pred, y = widened(y_pred, y)
        error = jnp.log((y_pred + epsilon) / (y + epsilon))
        return error * error


class PoissonLoss(LossFunction):
    """agg(y_pred - y log(y_pred + ε)).

    Args:
        agg: how the elements become one number.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.

    Inputs: y_pred a positive rate, y a count.

    Source: `PoissonLoss` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred, y = jnp.array([1, 3, 3], jnp.float32), jnp.array([1, 2, 3], jnp.float32)
        >>> round(PoissonLoss()(y_pred, y).item(), 5)
        0.50231
    """

    real_only = True
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The negative logarithm of the Poisson likelihood, without its terms in y alone."""
        epsilon = epsilon_of(self.epsilon, y_pred)
        y_pred, y = widened(y_pred, y)
        return y_pred - xlogy(y, y_pred + epsilon)
