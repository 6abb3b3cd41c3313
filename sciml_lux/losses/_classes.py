"""Losses for several classes: probabilities, or labels, along one axis."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..ops import logsoftmax, xlogx, xlogy
from ..precision.internal import index_in_int32
from ._loss_function import LossFunction
from ._options import check_options, complement_power, epsilon_of, weighted
from ._weights import class_weights_of


class ClassLoss(LossFunction):
    """Base of losses over classes along `axis`: their sum along it, then `agg`.

    Inputs: y of the shape of y_pred, a distribution along `axis`; or integer labels from 0, of
        that shape without `axis`. A label that is not a class gives NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> class Brier(ClassLoss):
        ...     def elementwise(self, y_pred, y):
        ...         return jnp.sum((y_pred - y) ** 2, axis=self.axis)
        >>> y_pred = jnp.array([[0.5, 0.5]], jnp.float32)
        >>> Brier()(y_pred, jnp.array([1], jnp.int32)).item()
        0.5
    """

    real_only = True
    axis: int = -1

    def targets(self, y_pred: Array, y: Array) -> Array:
        """Integer labels as distributions, 1 at the label and 0 elsewhere."""
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
        label = index_in_int32(y, classes)
        one_hot = jax.nn.one_hot(label, classes, dtype=y_pred.dtype, axis=self.axis)
        known = jnp.expand_dims((label >= 0) & (label < classes), self.axis)
        return jnp.where(known, one_hot, jnp.full_like(one_hot, jnp.nan))

    def over_entries(self, mask: Array, y_pred: Array) -> Array:
        """A mask of the samples, as a mask of the entries of `y_pred`."""
        axes = [axis for axis in range(y_pred.ndim) if axis != self.axis % y_pred.ndim]
        return jax.lax.broadcast_in_dim(mask, y_pred.shape, axes)


class WeightedClassLoss(ClassLoss):
    """Base of losses over classes that may have a weight each."""

    _: dataclasses.KW_ONLY
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """The weights as a tuple of numbers."""
        weights = class_weights_of(type(self).__name__, self.class_weights)
        object.__setattr__(self, "class_weights", weights)

    def class_weights_at(self, y: Array) -> Array | None:
        """Σ w y along the axis of the classes, which for a label is the weight of its class."""
        if self.class_weights is None:
            return None
        return jnp.sum(self.class_weighted(y), axis=self.axis)

    def class_weighted(self, y: Array) -> Array:
        """w y, with the weight of each class."""
        if self.class_weights is None:
            return y
        axis, classes = self.axis % y.ndim, y.shape[self.axis]
        if len(self.class_weights) != classes:
            raise ValueError(
                f"`{type(self).__name__}` expects `class_weights` with a number for each of "
                f"{classes} classes, got {len(self.class_weights)}."
            )
        weights = jnp.asarray(self.class_weights, y.dtype)
        return y * jax.lax.broadcast_in_dim(weights, y.shape, (axis,))


class CrossEntropyLoss(WeightedClassLoss):
    """agg(-Σ w ỹ log(y_pred + ε)), summed along `axis`, with ỹ = (1 - α) y + α/K for K classes.

    With `logits`, log(y_pred + ε) is replaced by the logarithm of the softmax of y_pred.

    Args:
        agg: how the samples become one number.
        axis: the axis of the classes.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        label_smoothing: α in [0, 1], or None for y as it is.
        logits: whether y_pred is before the softmax.
        class_weights: w, a number for each class, or None for 1. The mean divides by the sum of
            Σ w y over the samples; for labels that adds the weight of each sample's class.

    Inputs: y of the shape of y_pred, a distribution along `axis`; or integer labels from 0, of
        that shape without `axis`. A label that is not a class gives NaN.

    Raises:
        ValueError: `label_smoothing` outside [0, 1]; y_pred without `axis`; another number of
            `class_weights` than of classes, or one below 0.

    Source: `CrossEntropyLoss` of Lux 1.31. Its documentation writes α K where it divides, and its
        K is the number of classes only for matrices. Class weights as in torch, except that torch
        divides by the number of samples where y is a distribution.

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
        """Check the options and the weights."""
        super().__post_init__()
        check_options(self, "axis", "epsilon", "label_smoothing")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The negative logarithm of the probability of the labels."""
        if self.label_smoothing is not None:
            alpha = float(self.label_smoothing)
            y = (1.0 - alpha) * y + alpha / y_pred.shape[self.axis]
        if self.logits:
            terms = weighted(self.class_weighted(y), logsoftmax(y_pred, axis=self.axis))
        else:
            terms = xlogy(self.class_weighted(y), y_pred + epsilon_of(self.epsilon, y_pred))
        return -jnp.sum(terms, axis=self.axis)


class FocalLoss(WeightedClassLoss):
    """agg(-Σ w y (1 - p)^γ log p), summed along `axis`, with p = y_pred + ε.

    Args:
        agg: how the samples become one number.
        axis: the axis of the classes.
        gamma: γ; the greater, the less easy examples count.
        epsilon: ε; by default the distance from 1 to the next number of the dtype.
        class_weights: w, as for `CrossEntropyLoss`.

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
        """Check the options and the weights."""
        super().__post_init__()
        check_options(self, "axis", "gamma", "epsilon")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The cross entropy, weighted."""
        p = y_pred + epsilon_of(self.epsilon, y_pred)
        weights = self.class_weighted(y) * complement_power(p, self.gamma)
        return -jnp.sum(xlogy(weights, p), axis=self.axis)


class KLDivergenceLoss(ClassLoss):
    """agg(Σ y log y) - agg(Σ ỹ log(y_pred + ε)), summed along `axis`; zero if they are equal.

    Args:
        agg: how the samples become one number.
        axis: the axis of the classes.
        epsilon: ε; by default the distance from 1 to the next number of the dtype. With 0, a class
            with probability 0 in y_pred alone gives inf.
        label_smoothing: as for `CrossEntropyLoss`.

    Inputs: as for `CrossEntropyLoss`.

    Raises:
        ValueError: `label_smoothing` outside [0, 1]; y_pred without `axis`.

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
        """The relative entropy of each sample."""
        cross_entropy = CrossEntropyLoss(
            None, self.axis, epsilon=self.epsilon, label_smoothing=self.label_smoothing
        )
        return jnp.sum(xlogx(y), axis=self.axis) + cross_entropy.elementwise(y_pred, y)
