"""ReverseSequence: time reversed."""

from jaxtyping import PyTree

from ...core import Layer, Parameters, States
from ...core.internal import check_integer, subject
from ...ops import reverse_sequence
from .._array_check import check_array


class ReverseSequence(Layer):
    """y_t = x_{n-1-t}, where n is the length of the sequence.

    Args:
        axis: the axis of time.

    Inputs: an array; or (x, lengths) with integers over the axes before `axis`: each sequence is
        reversed within its own length, and the padding after it stays in place.

    Returns: y, of the shape and dtype of x.

    Raises:
        ValueError: x has no such axis; lengths have another shape; a tuple that is not a pair.
        TypeError: x is not an array; lengths are not integers.

    Source: `ReverseSequence` of Lux 1.31; Lux has no lengths. Its `dim=nothing` also reverses a
        vector; here that is `axis=-1`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record, nn
        >>> x = jnp.asarray([[1.0], [2.0], [3.0]], jnp.float32)
        >>> nn.ReverseSequence()(x, Record(), Record())[0].tolist()
        [[3.0], [2.0], [1.0]]
    """

    axis: int = -2

    def __post_init__(self) -> None:
        """Check the axis."""
        check_integer("ReverseSequence", "axis", self.axis)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The reversed sequence, and `st` as it was."""
        if isinstance(x, tuple) and len(x) != 2:
            raise ValueError(
                f"{subject(self)} expects `x` or the pair (x, lengths), got a tuple of {len(x)}."
            )
        x, lengths = x if isinstance(x, tuple) else (x, None)
        check_array(self, x)
        if not -x.ndim <= self.axis < x.ndim:
            raise ValueError(
                f"{subject(self)} expects `x` to have the axis {self.axis} (`axis`), got shape "
                f"{x.shape}."
            )
        return reverse_sequence(x, lengths, axis=self.axis), st
