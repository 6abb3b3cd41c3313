"""SamePad: as much padding as keeps the size."""

from collections.abc import Iterable

from ...core import Frozen
from ...ops._windows import Padding, PerAxis, Windows, windows


class SamePad(Frozen):
    """Padding with which stride 1 keeps the size, and stride s divides it by s, rounded up.

    A window of k with dilation d is padded by (k - 1) d in all; of an odd amount the larger half
    comes first. In `ConvTranspose` the size is multiplied by s, and the padding is
    (k - 1) d + 1 - s: for s above 1 not that of `Conv`, of which it is then not the transpose.

    Source: `SamePad` of Lux 1.31, and arXiv 1603.07285. XLA and PyTorch put the larger half last,
        and XLA pads less for strides above 1. For `ConvTranspose` with stride and dilation above 1
        the size that Lux documents is not the one it returns; ours is the documented one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Conv((4,), 1, 1, padding=SamePad())
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((2, 7, 1), jnp.float32), ps, st)[0].shape
        (2, 7, 1)
    """

    def pairs(self, totals: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """(low, high) for each axis, from what they are together."""
        return tuple((total - total // 2, total // 2) for total in totals)


def padded_windows(
    name: str,
    size: tuple[int, ...],
    stride: PerAxis,
    padding: Padding | SamePad,
    dilation: PerAxis,
) -> Windows:
    """`windows`, with `SamePad` as numbers."""
    if not isinstance(padding, SamePad):
        return windows(name, size, stride, padding, dilation)
    where = windows(name, size, stride, 0, dilation)
    return where._replace(padding=padding.pairs(reach - 1 for reach in where.reach))
