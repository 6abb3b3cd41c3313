"""Losses that are zero beyond a margin."""

import jax.numpy as jnp
from jaxtyping import Array

from ..ops import relu
from ._loss_function import LossFunction
from ._options import check_options, widened


class HingeLoss(LossFunction):
    """agg(max(0, 1 - y y_pred)), for labels -1 and 1; derivative 0 at the kink.

    Source: `HingeLoss` of Lux 1.31, whose hand-written derivative lacks the factor -y.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred, y = jnp.array([0.1, 0.3, 1, 1.5], jnp.float32), jnp.array([1, -1, 1, 1])
        >>> round(HingeLoss()(y_pred, y).item(), 5)
        0.55
    """

    real_only = True

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """How far the prediction is from the margin."""
        y_pred, y = widened(y_pred, y)
        return relu(1 - y * y_pred)


class SquaredHingeLoss(LossFunction):
    """agg(max(0, 1 - y y_pred)²), for labels -1 and 1.

    Source: `SquaredHingeLoss` of Lux 1.31, whose hand-written derivative lacks the factor y.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred, y = jnp.array([0.1, 0.3, 1, 1.5], jnp.float32), jnp.array([1, -1, 1, 1])
        >>> round(SquaredHingeLoss()(y_pred, y).item(), 5)
        0.625
    """

    real_only = True

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The square of the distance from the margin."""
        y_pred, y = widened(y_pred, y)
        missing = relu(1 - y * y_pred)
        return missing * missing


class SiameseContrastiveLoss(LossFunction):
    """agg((1 - y) y_pred² + y max(0, margin - y_pred)²), y_pred a distance, y 1 for unlike pairs.

    Args:
        agg: how the elements become one number.
        margin: the distance beyond which unlike pairs cost nothing.

    Raises:
        ValueError: `margin` below zero.

    Source: `SiameseContrastiveLoss` of Lux 1.31; Hadsell, Chopra and LeCun, CVPR 2006.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred, y = jnp.array([0.5, 1.5, 2.5], jnp.float32), jnp.array([1, 2, 3], jnp.float32)
        >>> round(SiameseContrastiveLoss()(y_pred, y).item(), 5)
        -4.83333
    """

    real_only = True
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Check the margin."""
        check_options(self, "margin")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The squared distance of like pairs, or the squared gap to the margin of unlike ones."""
        y_pred, y = widened(y_pred, y)
        missing = relu(float(self.margin) - y_pred)
        return (1 - y) * y_pred * y_pred + y * missing * missing


class DiceCoeffLoss(LossFunction):
    """agg(1 - (2 Σ y y_pred + α) / (Σ y² + Σ y_pred² + α)), summed over each sample.

    Args:
        agg: how the samples become one number.
        smooth: α.

    Inputs: (batch, ...); a vector is one sample. For float16 and bfloat16, sums and quotient are
        computed in float32.

    Source: `DiceCoeffLoss` of Lux 1.31; arXiv 1606.04797.

    Example:
        >>> import jax.numpy as jnp
        >>> y_pred, y = jnp.array([1.1, 2.1, 3.1], jnp.float32), jnp.array([1, 2, 3], jnp.float32)
        >>> round(DiceCoeffLoss()(y_pred, y).item(), 6)
        0.000992
    """

    real_only = True
    smooth: float = 1.0

    def __post_init__(self) -> None:
        """Check the option."""
        check_options(self, "smooth")

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """One minus the overlap of the two."""
        y_pred, y = widened(y_pred, y)
        axes = tuple(range(1, y_pred.ndim)) if y_pred.ndim > 1 else None
        smooth = float(self.smooth)
        overlap = 2 * jnp.sum(y * y_pred, axis=axes) + smooth
        sizes = jnp.sum(y_pred * y_pred, axis=axes) + jnp.sum(y * y, axis=axes) + smooth
        return 1 - overlap / sizes
