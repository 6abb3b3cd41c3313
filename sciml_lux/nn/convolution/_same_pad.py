"""SamePad: the padding that preserves the size."""

from collections.abc import Iterable

from ...core import StaticValue
from ...ops.internal import Padding, PerAxis, Windows, windows


class SamePad(StaticValue):
    """Padding for which stride 1 preserves the size, and stride s divides it by s, rounded up.

    A window of k elements with dilation d gets (k - 1) d elements of padding in total; if that is
    odd, the larger half comes first. In `ConvTranspose` the size is multiplied by s and the padding
    is (k - 1) d + 1 - s. For s above 1 this differs from the padding of `Conv`, so the two layers
    are then not transposes of each other.

    Source: `SamePad` of Lux 1.31, and arXiv 1603.07285. XLA and PyTorch put the larger half last,
        and XLA pads less for strides above 1. For `ConvTranspose` with stride and dilation above 1
        the size that Lux returns is not the documented one; ours is.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Conv((4,), 1, 1, padding=SamePad())
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((2, 7, 1), jnp.float32), ps, st)[0].shape
        (2, 7, 1)
    """

    def pairs(self, totals: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """(low, high) for each axis, from the total."""
        return tuple((total - total // 2, total // 2) for total in totals)


def padded_windows(
    name: str,
    size: tuple[int, ...],
    stride: PerAxis,
    padding: Padding | SamePad,
    dilation: PerAxis,
) -> Windows:
    """`windows` with `SamePad` replaced by numbers."""
    if not isinstance(padding, SamePad):
        return windows(name, size, stride, padding, dilation)
    where = windows(name, size, stride, 0, dilation)
    return where._replace(padding=padding.pairs(reach - 1 for reach in where.reach))
