"""The squared error."""

from jaxtyping import Array

from ._loss_function import LossFunction


class MSELoss(LossFunction):
    """agg((y_pred - y)²).

    Source: `MSELoss` of Lux 1.31; `L2Loss` is another name.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = MSELoss()
        >>> loss(jnp.array([1.0, 2.0], jnp.float32), jnp.array([1.0, 4.0], jnp.float32)).item()
        2.0
    """

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """(y_pred - y)²; |·|² where complex."""
        error = y_pred - y
        if error.dtype.kind == "c":
            return error.real * error.real + error.imag * error.imag
        return error * error


L2Loss = MSELoss
