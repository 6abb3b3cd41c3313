"""Losses for two classes, labelled 0 and 1."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from ..ops import logsigmoid, xlogy
from ..precision import accumulating
from ._loss_function import LossFunction
from ._options import check_options, complement_power, epsilon_of, weighted
from ._weights import class_weights_of


class WeightedBinaryLoss(LossFunction):
    """Base of losses for two classes, which may have weights."""

    _: dataclasses.KW_ONLY
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """The weights as a tuple of two numbers."""
        weights = class_weights_of(type(self).__name__, self.class_weights)
        if weights is not None and len(weights) != 2:
            raise ValueError(
                f"`{type(self).__name__}` expects `class_weights` with two numbers, those of the "
                f"labels 0 and 1, got {len(weights)}."
            )
        object.__setattr__(self, "class_weights", weights)

    def class_weights_at(self, y: Array) -> Array | None:
        """The weight of the label; for a y between 0 and 1 the mean of both weights."""
        if self.class_weights is None:
            return None
        of_zero, of_one = self.class_weights
        return (1 - y) * of_zero + y * of_one


class BinaryCrossEntropyLoss(WeightedBinaryLoss):
    """agg(-w₁ ỹ log(y_pred + ε) - w₀ (1 - ỹ) log(1 - y_pred + ε)), with ỹ = (1 - α) y + α/2.

    With `logits` it is agg(-w₁ ỹ log σ(y_pred) - w₀ (1 - ỹ) log σ(-y_pred)), which is exact for
    huge logits too.

    Args:
        agg: how the elements become one number.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        label_smoothing: α in [0, 1], or None for y as it is.
        logits: whether y_pred is before the sigmoid.
        class_weights: (w₀, w₁), the weights of the labels 0 and 1, or None for 1. The mean divides
            by the sum of w₁ y + w₀ (1 - y).

    Inputs: y of the shape of y_pred, or one number for all; an array of no axes keeps its dtype.

    Raises:
        ValueError: `label_smoothing` outside [0, 1]; not two `class_weights`, or one below 0.

    Source: `BinaryCrossEntropyLoss` of Lux 1.31. With logits it computes
        (1 - ỹ) y_pred - log σ(y_pred), the same number, but without a right digit for label 0 and a
        logit of -40. torch's `pos_weight` is w₁ with w₀ = 1, and its mean divides by the number of
        elements.

    Example:
        >>> import jax.numpy as jnp
        >>> logits, y = jnp.array([2, -1, 3.1415927], jnp.float32), jnp.array([1, 0, 1], jnp.int32)
        >>> round(BinaryCrossEntropyLoss(logits=True)(logits, y).item(), 5)
        0.16083
    """

    real_only = True
    epsilon: float | None = None
    label_smoothing: float | None = None
    logits: bool = False

    def __post_init__(self) -> None:
        """Check the options and the weights."""
        super().__post_init__()
        check_options(self, "epsilon", "label_smoothing")

    def targets(self, y_pred: Array, y: ArrayLike) -> Any:
        """One number as an array of the shape of `y_pred`."""
        if np.ndim(y) > 0:
            return y
        if not hasattr(y, "dtype"):
            return jnp.full_like(y_pred, y)
        return accumulating(lambda y: jnp.broadcast_to(y, y_pred.shape), jnp.asarray(y))

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The negative logarithm of the probability of the label."""
        if self.label_smoothing is not None:
            alpha = float(self.label_smoothing)
            y = (1.0 - alpha) * y + 0.5 * alpha
        ones, zeros = y, 1 - y
        if self.class_weights is not None:
            ones, zeros = ones * self.class_weights[1], zeros * self.class_weights[0]
        if self.logits:
            return -weighted(ones, logsigmoid(y_pred)) - weighted(zeros, logsigmoid(-y_pred))
        epsilon = epsilon_of(self.epsilon, y_pred)
        return -xlogy(ones, y_pred + epsilon) - xlogy(zeros, 1 - y_pred + epsilon)


class BinaryFocalLoss(WeightedBinaryLoss):
    """agg(-w (1 - p)^γ log p), with p = y y_pred + (1 - y) (1 - y_pred) + ε.

    Args:
        agg: how the elements become one number.
        gamma: γ; the greater, the less easy examples count.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        class_weights: (w₀, w₁), as for `BinaryCrossEntropyLoss`; w is the weight of the label.
            (1 - α, α) is the balanced form of the paper.

    Raises:
        ValueError: not two `class_weights`, or one below 0.

    Source: `BinaryFocalLoss` of Lux 1.31, which uses 1 - y_pred - ε for label 0 and gives NaN where
        y_pred is 1; arXiv 1708.02002.

    Example:
        >>> import jax.numpy as jnp
        >>> y = jnp.array([[0, 1, 0], [1, 0, 1]], jnp.int32)
        >>> p = jnp.array([[0.268941, 0.5, 0.268941], [0.731059, 0.5, 0.731059]], jnp.float32)
        >>> round(BinaryFocalLoss()(p, y).item(), 5)
        0.07287
    """

    real_only = True
    gamma: float = 2
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the options and the weights."""
        super().__post_init__()
        check_options(self, "gamma", "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The cross entropy, weighted."""
        p = y * y_pred + (1 - y) * (1 - y_pred) + epsilon_of(self.epsilon, y_pred)
        losses = -complement_power(p, self.gamma) * jnp.log(p)
        weights = self.class_weights_at(y)
        return losses if weights is None else weights * losses
