"""ReshapeLayer: another shape for each member of the batch."""

import math

from jaxtyping import Array

from ...core import Layer, Parameters, States
from ...core.internal import is_integer, subject


class ReshapeLayer(Layer):
    """y = x with all axes but the first reshaped to `dims`.

    Args:
        dims: the sizes of the axes after the batch.

    Inputs: x (batch, ...) with as many elements for each member as `dims` has; of any dtype.

    Returns: y (batch, *dims) in the dtype of x.

    Raises:
        TypeError: `dims` is not a tuple of integers.
        ValueError: sizes below 0; x with another number of elements.

    Source: `ReshapeLayer` of Lux 1.31. Here the last axis varies fastest, in Lux the first.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> ReshapeLayer((2, 2))(jnp.ones((3, 1, 4), jnp.float32), Record(), Record())[0].shape
        (3, 2, 2)
    """

    dims: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the sizes."""
        is_tuple = isinstance(self.dims, tuple)
        if not is_tuple or not all(is_integer(size) for size in self.dims):
            raise TypeError(
                f"`ReshapeLayer` expects `dims` to be a tuple of integers, got {self.dims!r}."
            )
        if min(self.dims, default=0) < 0:
            raise ValueError(
                f"`ReshapeLayer` expects sizes of at least 0, got {self.dims!r} (`dims`)."
            )

    def __call__(self, x: Array, ps: Parameters, st: States) -> tuple[Array, States]:
        """The reshaped input, and `st` as it was."""
        shape = getattr(x, "shape", ())
        if not shape or math.prod(shape[1:]) != math.prod(self.dims):
            raise ValueError(
                f"{subject(self)} expects `x` (batch, ...) with {math.prod(self.dims)} elements "
                f"for each member (`dims` is {self.dims}), got "
                f"{f'shape {shape}' if hasattr(x, 'shape') else type(x).__name__}."
            )
        return x.reshape(shape[0], *self.dims), st
