"""Squared errors, absolute errors, and the Huber loss between the two."""

import math

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..core import LayerLike, Parameters, States, apply
from ..precision import promote
from ._loss_function import LossFunction, mean, total
from ._options import check_options, widened
from ._weights import checked_count, hidden, keyword_of, total_weight, weighed


class MSELoss(LossFunction):
    """agg((y_pred - y)²).

    Source: `MSELoss` of Lux 1.31; `L2Loss` is another name of it.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = MSELoss()
        >>> loss(jnp.array([1.0, 2.0], jnp.float32), jnp.array([1.0, 4.0], jnp.float32)).item()
        2.0
    """

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """(y_pred - y)²; |y_pred - y|² for complex numbers."""
        y_pred, y = widened(y_pred, y)
        return _squared(y_pred - y)

    def residuals(self, model: LayerLike, ps: Parameters, st: States, data: PyTree) -> Array:
        """Residuals r with loss = Σ r², for least-squares solvers; `agg` is `mean` or `total`."""
        if self.agg not in (mean, total):
            raise ValueError(
                f"`MSELoss` is a sum of squares with `agg` mean or total, got {self.agg!r}."
            )
        x, y, *extra = data
        y_pred = apply(model, x, ps, st)[0]
        self._of_prediction(y_pred, y)  # Checks the two.
        y_pred, y = promote(y_pred, y)
        if extra:
            return self._weighted_residuals(y_pred, y, **keyword_of(extra[0]))
        scale = y.size if self.agg is mean else 1
        return (y_pred - y) / math.sqrt(scale)

    def _weighted_residuals(self, y_pred: Array, y: Array, **counted: Array) -> Array:
        count = checked_count(
            type(self).__name__, y.shape, **{"weights": None, "where": None} | counted
        )
        if count.where is not None:
            y_pred, y = hidden(y_pred, count.where), hidden(y, count.where)
        squares = weighed(jnp.ones(y.shape, y.real.dtype), count)
        if self.agg is mean:
            squares = squares / jnp.broadcast_to(total_weight(count, squares.dtype), y.shape)
        roots, errors = promote(jnp.sqrt(squares), y_pred - y)
        return roots * errors


class MAELoss(LossFunction):
    """agg(|y_pred - y|), with derivative 0 where the two are equal.

    Source: `MAELoss` of Lux 1.31; `L1Loss` is another name of it.

    Example:
        >>> import jax.numpy as jnp
        >>> MAELoss()(jnp.array([1.0, 2.0], jnp.float32), jnp.array([2.0, 4.0], jnp.float32)).item()
        1.5
    """

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """|y_pred - y|."""
        y_pred, y = widened(y_pred, y)
        return _absolute(y_pred - y)


class HuberLoss(LossFunction):
    """agg(½ e² where |e| ≤ delta, else delta (|e| - ½ delta)), with e = y_pred - y.

    Args:
        agg: how the elements become one number.
        delta: the error up to which the square is used, above zero.

    Raises:
        ValueError: `delta` is not above zero.

    Source: `HuberLoss` of Lux 1.31, whose `delta` must not be an integer.

    Example:
        >>> import jax.numpy as jnp
        >>> HuberLoss()(jnp.array([0.5, 3.0], jnp.float32), jnp.zeros(2, jnp.float32)).item()
        1.3125
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        """Check delta."""
        check_options(self, "delta")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The square near zero, the straight line beyond."""
        delta, (y_pred, y) = float(self.delta), widened(y_pred, y)
        error = y_pred - y
        size = _absolute(error)
        near = size <= delta
        # Replaced by 0, so that the unused square of a huge error does not overflow.
        small = jnp.where(near, error, jnp.zeros_like(error))
        return jnp.where(near, 0.5 * _squared(small), delta * (size - 0.5 * delta))


def _squared(error: Array) -> Array:
    """|error|²."""
    if error.dtype.kind == "c":
        return error.real * error.real + error.imag * error.imag
    return error * error


def _absolute(error: Array) -> Array:
    """|error|, with derivative 0 at 0, where that of `jnp.abs` is 1 for real numbers."""
    if error.dtype.kind != "c":
        return error * jnp.sign(error)
    zero = error == 0
    size = jnp.abs(jnp.where(zero, jnp.ones_like(error), error))
    return jnp.where(zero, jnp.zeros_like(size), size)


L1Loss = MAELoss
L2Loss = MSELoss
