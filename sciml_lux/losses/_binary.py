"""Losses for two classes, labelled 0 and 1."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..ops import logsigmoid, xlogy
from ..precision import require_x64_for
from ._loss_function import LossFunction
from ._options import check_options, complement_power, epsilon_of, weighted


class BinaryCrossEntropyLoss(LossFunction):
    """agg(-ỹ log(y_pred + ε) - (1 - ỹ) log(1 - y_pred + ε)), with ỹ = (1 - α) y + α/2.

    With `logits` it is agg(-ỹ log σ(y_pred) - (1 - ỹ) log σ(-y_pred)), which is exact at huge ones.

    Args:
        agg: how the elements become one number.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        label_smoothing: α in [0, 1], or None for y as it is.
        logits: whether y_pred is before the sigmoid.

    Inputs: y of the shape of y_pred, or one number for all, which of an array keeps its dtype.

    Raises:
        ValueError: `label_smoothing` outside [0, 1].

    Source: `BinaryCrossEntropyLoss` of Lux 1.31. With logits it has (1 - ỹ) y_pred - log σ(y_pred),
        the same number, of which no digit is right for label 0 and a logit of -40.

    Example:
        >>> import jax.numpy as jnp
        >>> logits, y = jnp.array([2, -1, 3.1415927], jnp.float32), jnp.array([1, 0, 1], jnp.int32)
        >>> round(BinaryCrossEntropyLoss(logits=True)(logits, y).item(), 5)
        0.16083
    """

    epsilon: float | None = None
    label_smoothing: float | None = None
    logits: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "epsilon", "label_smoothing")

    def targets(self, y_pred: Array, y: Any) -> Any:
        """One number serves for all."""
        if np.ndim(y) > 0:
            return y
        if not hasattr(y, "dtype"):
            return jnp.full_like(y_pred, y)
        require_x64_for(y, "`BinaryCrossEntropyLoss`: `y`")
        return jnp.broadcast_to(y, y_pred.shape)

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The negative logarithm of the probability of the label."""
        if self.label_smoothing is not None:
            alpha = float(self.label_smoothing)
            y = (1.0 - alpha) * y + 0.5 * alpha
        if self.logits:
            return -weighted(y, logsigmoid(y_pred)) - weighted(1 - y, logsigmoid(-y_pred))
        epsilon = epsilon_of(self.epsilon, y_pred)
        return -xlogy(y, y_pred + epsilon) - xlogy(1 - y, 1 - y_pred + epsilon)


class BinaryFocalLoss(LossFunction):
    """agg(-(1 - p)^γ log p), with p = y y_pred + (1 - y) (1 - y_pred) + ε.

    Args:
        agg: how the elements become one number.
        gamma: γ, how little the easy examples count.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.

    Source: `BinaryFocalLoss` of Lux 1.31, which has 1 - y_pred - ε for label 0, and so NaN where
        y_pred is 1; arXiv 1708.02002.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([[0, 1, 0], [1, 0, 1]], jnp.int32)
        >>> p = jnp.array([[0.268941, 0.5, 0.268941], [0.731059, 0.5, 0.731059]], jnp.float32)
        >>> round(BinaryFocalLoss()(p, y).item(), 5)
        0.07287
    """

    gamma: float = 2
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "gamma", "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The cross entropy, weighted."""
        p = y * y_pred + (1 - y) * (1 - y_pred) + epsilon_of(self.epsilon, y_pred)
        return -complement_power(p, self.gamma) * jnp.log(p)
