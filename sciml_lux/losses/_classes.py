"""Losses for several classes: probabilities, or labels, along one axis."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..ops import logsoftmax, xlogx, xlogy
from ..precision import index_in_int32
from ._loss_function import LossFunction
from ._options import check_options, complement_power, epsilon_of, weighted


class ClassLoss(LossFunction):
    """Base of losses over classes along `axis`, which is summed before `agg`.

    Inputs: y of the shape of y_pred, a distribution along `axis`; or integer labels from 0, of
        that shape without `axis`. A label that is no class gives NaN.
    """

    axis: int = -1

    def targets(self, y_pred: Array, y: Any) -> Any:
        """Labels as distributions with one entry."""
        if not -y_pred.ndim <= self.axis < y_pred.ndim:
            raise ValueError(
                f"`{type(self).__name__}` expects `y_pred` with an axis {self.axis}, got shape "
                f"{y_pred.shape}. Set `axis` to that of the classes."
            )
        shape = list(y_pred.shape)
        classes = shape.pop(self.axis)
        is_label = hasattr(y, "dtype") and jnp.issubdtype(y.dtype, jnp.integer)
        if not is_label or y.shape != tuple(shape):
            return y
        # In int32 at least: a short dtype may not hold the number of classes.
        y = index_in_int32(y, classes)
        one_hot = jax.nn.one_hot(y, classes, dtype=y_pred.dtype, axis=self.axis)
        known = jnp.expand_dims((y >= 0) & (y < classes), self.axis)
        return jnp.where(known, one_hot, jnp.full_like(one_hot, jnp.nan))


class CrossEntropyLoss(ClassLoss):
    """agg(-Σ ỹ log(y_pred + ε)), summed along `axis`, with ỹ = (1 - α) y + α/K for K classes.

    With `logits` log(y_pred + ε) is the logarithm of the softmax of y_pred.

    Args:
        agg: how the samples become one number.
        axis: that of the classes.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        label_smoothing: α in [0, 1], or None for y as it is.
        logits: whether y_pred is before the softmax.

    Inputs: y of the shape of y_pred, a distribution along `axis`; or integer labels from 0, of
        that shape without `axis`. A label that is no class gives NaN.

    Raises:
        ValueError: `label_smoothing` outside [0, 1]; no such axis.

    Source: `CrossEntropyLoss` of Lux 1.31. Its documentation writes α K where it divides, and its
        K is that of the classes for matrices alone.

    Example:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[-1, 0, 1]], jnp.float32)
        >>> round(CrossEntropyLoss(logits=True)(logits, jnp.array([2], jnp.int32)).item(), 5)
        0.40761
    """

    epsilon: float | None = None
    label_smoothing: float | None = None
    logits: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "axis", "epsilon", "label_smoothing")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The negative logarithm of the probability of the labels."""
        if self.label_smoothing is not None:
            alpha = float(self.label_smoothing)
            y = (1.0 - alpha) * y + alpha / y_pred.shape[self.axis]
        if self.logits:
            terms = weighted(y, logsoftmax(y_pred, axis=self.axis))
        else:
            terms = xlogy(y, y_pred + epsilon_of(self.epsilon, y_pred))
        return -jnp.sum(terms, axis=self.axis)


class FocalLoss(ClassLoss):
    """agg(-Σ y (1 - p)^γ log p), summed along `axis`, with p = y_pred + ε.

    Args:
        agg: how the samples become one number.
        axis: that of the classes.
        gamma: γ, how little the easy examples count.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.

    Inputs: as for `CrossEntropyLoss`.

    Source: `FocalLoss` of Lux 1.31; arXiv 1708.02002.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred = jnp.array([[0.0900306, 0.244728, 0.665241]], jnp.float32)
        >>> round(FocalLoss()(y_pred, jnp.array([1], jnp.int32)).item(), 5)
        0.80295
    """

    gamma: float = 2
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "axis", "gamma", "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The cross entropy, weighted."""
        p = y_pred + epsilon_of(self.epsilon, y_pred)
        return -jnp.sum(xlogy(y * complement_power(p, self.gamma), p), axis=self.axis)


class KLDivergenceLoss(ClassLoss):
    """agg(Σ y log y) - agg(Σ ỹ log(y_pred + ε)), summed along `axis`; zero for equal ones.

    Args:
        agg: how the samples become one number.
        axis: that of the classes.
        epsilon: ε; by default the distance from 1 to the next number of the dtype. With 0 a class
            that y has and y_pred lacks gives inf.
        label_smoothing: as for `CrossEntropyLoss`.

    Inputs: as for `CrossEntropyLoss`.

    Raises:
        ValueError: `label_smoothing` outside [0, 1]; no such axis.

    Source: `KLDivergenceLoss` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> half, sure = jnp.full((2, 2), 0.5, jnp.float32), jnp.eye(2, dtype=jnp.float32)
        >>> round(KLDivergenceLoss()(half, sure).item(), 5)
        0.69315
    """

    epsilon: float | None = None
    label_smoothing: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self, "axis", "epsilon", "label_smoothing")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The information that y_pred lacks."""
        cross_entropy = CrossEntropyLoss(
            None, self.axis, epsilon=self.epsilon, label_smoothing=self.label_smoothing
        )
        return jnp.sum(xlogx(y), axis=self.axis) + cross_entropy.elementwise(y_pred, y)
