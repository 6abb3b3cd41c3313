"""FlattenLayer: several axes merged into one."""

import math

from jaxtyping import Array

from ...core import Layer, Parameters, States
from ...core.internal import check_integer, subject

_FORM = "Leave it out to flatten all axes but the first."


class FlattenLayer(Layer):
    """y = x with all axes but the first merged into one, or the last `num_axes` axes.

    Args:
        num_axes: how many of the last axes become one; None for all but the first, the batch.

    Inputs: x with `num_axes` axes or more, of any dtype.

    Returns: y (batch, size), or (..., size), in the dtype of x.

    Raises:
        ValueError: `num_axes` below 1; x with too few axes.

    Source: `FlattenLayer` of Lux 1.31, which requires a batch axis besides the `num_axes`. The last
        axis of x varies fastest in y: channels, for an image (batch, height, width, channels). In
        Lux it is the width: for weights from Lux of a dense layer that follows, transpose x to
        (batch, channels, height, width).

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> FlattenLayer()(jnp.ones((5, 2, 3, 4), jnp.float32), Record(), Record())[0].shape
        (5, 24)
    """

    num_axes: int | None = None

    def __post_init__(self) -> None:
        """Check the number of axes."""
        if self.num_axes is not None:
            check_integer("FlattenLayer", "num_axes", self.num_axes, least=1, remedy=_FORM)

    def __call__(self, x: Array, ps: Parameters, st: States) -> tuple[Array, States]:
        """The flattened input, and `st` as it was."""
        needed = self.num_axes or 1
        if not hasattr(x, "shape") or x.ndim < needed:
            raise ValueError(
                f"{subject(self)} expects `x` to be an array with at least {needed} axes, got "
                f"{f'shape {x.shape}' if hasattr(x, 'shape') else type(x).__name__}."
            )
        kept = 1 if self.num_axes is None else x.ndim - self.num_axes
        # The size is computed, since reshape cannot infer -1 in an empty batch.
        return x.reshape(*x.shape[:kept], math.prod(x.shape[kept:])), st
