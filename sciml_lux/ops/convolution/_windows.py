"""Windows: where those of a convolution or a pool lie on the spatial axes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...core.internal import is_integer

PerAxis = int | tuple[int, ...]
Padding = int | tuple[int | tuple[int, int], ...]


class Windows(NamedTuple):
    """Windows over the spatial axes: each field has an entry for each axis."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """The sizes with the gaps that dilation leaves, (size - 1) dilation + 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def counts(self, name: str, spatial: Sequence[int]) -> tuple[int, ...]:
        """How many windows there are along each axis, ⌊(size + padding - reach) / stride⌋ + 1.

        Raises:
            ValueError: an axis is too short for one.
        """
        padded = [n + low + high for n, (low, high) in zip(spatial, self.padding, strict=True)]
        if any(n < reach for n, reach in zip(padded, self.reach, strict=True)):
            raise ValueError(
                f"`{name}` expects spatial axes of at least the window's {self.reach}, dilation "
                f"included, got {tuple(spatial)}, with padding {tuple(padded)}. Pad more, or take "
                "a smaller window."
            )
        axes = zip(padded, self.reach, self.stride, strict=True)
        return tuple((n - reach) // stride + 1 for n, reach, stride in axes)


def windows(
    name: str, size: tuple[int, ...], stride: PerAxis, padding: Padding, dilation: PerAxis
) -> Windows:
    """The windows that `name` asked for, one number taken for all axes.

    Raises:
        TypeError: something is not of integers.
        ValueError: a number below 1 (below 0 for padding), a tuple of another length.
    """
    if not isinstance(size, tuple) or not 1 <= len(size) <= 3:
        raise TypeError(
            f"`{name}` expects the window to be a tuple of 1 to 3 integers, one for each spatial "
            f"axis, got {size!r}. Write (3, 3) for images."
        )
    axes = len(size)
    return Windows(
        per_axis(name, "window", size, axes),
        per_axis(name, "stride", stride, axes),
        _pairs(name, padding, axes),
        per_axis(name, "dilation", dilation, axes),
    )


def per_axis(name: str, option: str, value: PerAxis, axes: int, least: int = 1) -> tuple[int, ...]:
    """`value` for each axis.

    Raises:
        TypeError: it is neither an integer nor a tuple of them.
        ValueError: a number below `least`, a tuple of another length.
    """
    each: Any = value if isinstance(value, tuple) else (value,) * axes
    if not all(map(is_integer, each)):
        raise TypeError(
            f"`{name}` expects `{option}` to be an integer, or a tuple of one for each spatial "
            f"axis, got {value!r}."
        )
    if len(each) != axes or any(number < least for number in each):
        raise ValueError(
            f"`{name}` expects `{option}` of at least {least}: an integer, or a tuple of one for "
            f"each of {axes} spatial axes, got {value!r}."
        )
    return each


def _pairs(name: str, padding: Padding, axes: int) -> tuple[tuple[int, int], ...]:
    """(low, high) for each axis."""
    each: Any = padding if isinstance(padding, tuple) else (padding,) * axes
    pairs = tuple(entry if isinstance(entry, tuple) else (entry, entry) for entry in each)
    if not all(is_integer(width) for pair in pairs for width in pair):
        raise TypeError(
            f"`{name}` expects `padding` of integers: one, or for each spatial axis one or a pair "
            f"(low, high), got {padding!r}."
        )
    if len(pairs) != axes or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(
            f"`{name}` expects `padding` of at least 0: an integer, or a tuple with an integer or "
            f"a pair (low, high) for each of {axes} spatial axes, got {padding!r}."
        )
    return pairs
