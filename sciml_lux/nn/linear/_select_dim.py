"""SelectDim: one or several indices of an axis."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core import Layer, Parameters, States
from ...core.internal import is_integer, subject
from ...precision import accumulating


class SelectDim(Layer):
    """y = x[..., index, ...], with the index on the given axis.

    Args:
        axis: counted as in NumPy, negative from the end. Axis 0 is the batch.
        index: an integer, which removes the axis; or a range or tuple of integers, which keeps it.
            Negative indices count from the end.

    Inputs: x of any dtype.

    Returns: y in the dtype of x.

    Raises:
        TypeError: `axis` or `index` of another type.
        ValueError: x has no such axis, or no such index on it.

    Source: `SelectDim` of Lux 1.31, which counts from 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], jnp.float32)
        >>> SelectDim(1, 0)(x, Record(), Record())[0].tolist()
        [1.0, 4.0]
        >>> SelectDim(1, range(2))(x, Record(), Record())[0].tolist()
        [[1.0, 2.0], [4.0, 5.0]]
    """

    axis: int
    index: int | range | tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the types."""
        if not all(is_integer(number) for number in (self.axis, *self._indices)):
            raise TypeError(
                "`SelectDim` expects `axis` to be an integer and `index` an integer, a range or a "
                f"tuple of integers, got {self.axis!r} and {self.index!r}."
            )

    def __call__(self, x: Array, ps: Parameters, st: States) -> tuple[Array, States]:
        """The part, and `st` as it was."""
        shape = getattr(x, "shape", None)
        if shape is None or not -len(shape) <= self.axis < len(shape):
            raise ValueError(
                f"{subject(self)} expects `x` to be an array with an axis {self.axis} (`axis`), "
                f"got {type(x).__name__ if shape is None else f'shape {shape}'}."
            )
        size = shape[self.axis]
        if not all(-size <= index < size for index in self._indices):
            raise ValueError(
                f"{subject(self)} expects axis {self.axis} of `x` to have the index {self.index} "
                f"(`index`), got shape {shape}."
            )
        if not isinstance(self.index, range | tuple):
            return jax.lax.index_in_dim(x, self.index, self.axis, keepdims=False), st
        inside = np.asarray([index % size for index in self._indices], np.int32)
        # An index may occur many times.
        return accumulating(lambda x: jnp.take(x, inside, self.axis, mode="clip"), x), st

    @property
    def _indices(self) -> range | tuple[int, ...]:
        return self.index if isinstance(self.index, range | tuple) else (self.index,)
