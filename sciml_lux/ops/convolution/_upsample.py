"""Resizing of the spatial axes."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from ...core.internal import is_integer, is_number
from ...precision import accumulating
from .._op import op

Scale = float | Sequence[float]
Size = int | Sequence[int]


@op("x")
def upsample_nearest(
    x: Shaped[Array, "batch *spatial channels"],
    scale: Scale | None = None,
    *,
    size: Size | None = None,
) -> Shaped[Array, "batch *resized channels"]:
    """y[i] = x[⌊i n/m⌋] along every spatial axis, which goes from n to m elements.

    Args:
        x: (batch, *spatial, channels), of any dtype.
        scale: m = ⌊scale n⌋; one number for all axes or one for each.
        size: m itself; one number for all axes or one for each. Give this or `scale`.

    Returns:
        (batch, *resized, channels).

    Raises:
        ValueError: both or none of `scale` and `size`, one not above 0, or not one for each
            spatial axis; `x` without spatial axes, or an empty one.

    Source: `upsample_nearest` of NNlib, as Lux 1.31 exports it, which takes whole scales only;
        fractions are as in PyTorch given the size.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([1.0, 2.0], jnp.float32).reshape(1, 2, 1)
        >>> upsample_nearest(x, 2)[0, :, 0].tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    sizes = _sizes("upsample_nearest", x, scale, size)

    def repeated(x: Array) -> Array:
        for axis, m in enumerate(sizes, start=1):
            n = x.shape[axis]
            x = jnp.take(x, jnp.asarray([i * n // m for i in range(m)], jnp.int32), axis)
        return x

    return accumulating(repeated, x)


@op("x")
def upsample_linear(
    x: Inexact[Array, "batch width channels"],
    scale: Scale | None = None,
    *,
    size: Size | None = None,
    align_corners: bool = False,
) -> Inexact[Array, "batch resized channels"]:
    """x along its spatial axis by linear interpolation.

    Args:
        x: (batch, width, channels).
        scale: as in `upsample_nearest`.
        size: as in `upsample_nearest`.
        align_corners: whether the first and the last elements stay where they are, so that y[i]
            is x at i (n - 1)/(m - 1); else elements are cells of equal width, and y[i] is x at
            (i + 1/2) n/m - 1/2, moved into the axis.

    Returns:
        (batch, resized, channels).

    Raises:
        ValueError: as in `upsample_nearest`; `x` with another number of spatial axes.
        TypeError: integers.

    Source: `upsample_linear` of NNlib, as Lux 1.31 exports it, where `align_corners` is true
        unless given. Ours is false, as in `Upsample` of Lux and in PyTorch.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([0.0, 4.0], jnp.float32).reshape(1, 2, 1)
        >>> upsample_linear(x, 2)[0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
        >>> upsample_linear(x, size=3, align_corners=True)[0, :, 0].tolist()
        [0.0, 2.0, 4.0]
    """
    return _interpolated("upsample_linear", 1, x, scale, size, align_corners)


@op("x")
def upsample_bilinear(
    x: Inexact[Array, "batch height width channels"],
    scale: Scale | None = None,
    *,
    size: Size | None = None,
    align_corners: bool = False,
) -> Inexact[Array, "batch resized_height resized_width channels"]:
    """x along its two spatial axes by linear interpolation.

    Args:
        x: (batch, height, width, channels).
        scale: as in `upsample_nearest`.
        size: as in `upsample_nearest`.
        align_corners: as in `upsample_linear`.

    Returns:
        (batch, resized_height, resized_width, channels).

    Raises:
        ValueError: as in `upsample_nearest`; `x` with another number of spatial axes.
        TypeError: integers.

    Source: `upsample_bilinear` of NNlib, as Lux 1.31 exports it; see `upsample_linear`.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[0.0, 2.0]], jnp.float32).reshape(1, 1, 2, 1)
        >>> upsample_bilinear(x, (1, 2))[0, 0, :, 0].tolist()
        [0.0, 0.5, 1.5, 2.0]
    """
    return _interpolated("upsample_bilinear", 2, x, scale, size, align_corners)


@op("x")
def upsample_trilinear(
    x: Inexact[Array, "batch depth height width channels"],
    scale: Scale | None = None,
    *,
    size: Size | None = None,
    align_corners: bool = False,
) -> Inexact[Array, "batch resized_depth resized_height resized_width channels"]:
    """x along its three spatial axes by linear interpolation.

    Args:
        x: (batch, depth, height, width, channels).
        scale: as in `upsample_nearest`.
        size: as in `upsample_nearest`.
        align_corners: as in `upsample_linear`.

    Returns:
        (batch, resized_depth, resized_height, resized_width, channels).

    Raises:
        ValueError: as in `upsample_nearest`; `x` with another number of spatial axes.
        TypeError: integers.

    Source: `upsample_trilinear` of NNlib, as Lux 1.31 exports it; see `upsample_linear`.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[0.0, 2.0]], jnp.float32).reshape(1, 1, 1, 2, 1)
        >>> upsample_trilinear(x, (1, 1, 2))[0, 0, 0, :, 0].tolist()
        [0.0, 0.5, 1.5, 2.0]
    """
    return _interpolated("upsample_trilinear", 3, x, scale, size, align_corners)


def _interpolated(
    name: str, axes: int, x: Array, scale: Scale | None, size: Size | None, align_corners: bool
) -> Array:
    if x.ndim != axes + 2:
        raise ValueError(
            f"`{name}` expects `x` (batch, *spatial, channels) with {axes} spatial axes, got shape "
            f"{x.shape}."
        )
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(
            f"`{name}` expects `x` to be floating or complex, got {x.dtype}. Convert it, or use "
            "`upsample_nearest`."
        )
    sizes = _sizes(name, x, scale, size)
    along = functools.partial(_interpolated_along, align_corners=align_corners)

    def resized(x: Array) -> Array:
        return functools.reduce(lambda x, to: along(x, *to), enumerate(sizes, start=1), x)

    return accumulating(resized, x)


def _interpolated_along(x: Array, axis: int, m: int, align_corners: bool) -> Array:
    n = x.shape[axis]
    # In integers, so that positions are exact whatever the dtype.
    if align_corners:
        numerators, denominator = [i * (n - 1) for i in range(m)], max(m - 1, 1)
    else:
        numerators, denominator = [max((2 * i + 1) * n - m, 0) for i in range(m)], 2 * m
    low = [min(position // denominator, n - 1) for position in numerators]
    high = [min(i + 1, n - 1) for i in low]
    parts = [position % denominator for position in numerators]
    shape = [1] * x.ndim
    shape[axis] = m

    def weighted(indices: list[int], weights: list[float]) -> Array:
        weight = jnp.asarray(weights, x.dtype).reshape(shape)
        return weight * jnp.take(x, jnp.asarray(indices, jnp.int32), axis)

    return weighted(low, [(denominator - part) / denominator for part in parts]) + weighted(
        high, [part / denominator for part in parts]
    )


def _sizes(name: str, x: Array, scale: Scale | None, size: Size | None) -> list[int]:
    """The size of every spatial axis of the result."""
    spatial = x.shape[1:-1]
    if not spatial or 0 in spatial:
        raise ValueError(
            f"`{name}` expects `x` (batch, *spatial, channels) with spatial axes of at least 1, "
            f"got shape {x.shape}."
        )
    if (scale is None) == (size is None):
        raise ValueError(f"`{name}` expects one of `scale` and `size`, got {scale!r} and {size!r}.")
    given: Any = scale if size is None else size
    each = tuple(given) if isinstance(given, tuple | list) else (given,) * len(spatial)
    if len(each) != len(spatial) or not all(is_number(s) and 0 < s < math.inf for s in each):
        raise ValueError(
            f"`{name}` expects `{'scale' if size is None else 'size'}` above 0: a number, or one "
            f"for each of {len(spatial)} spatial axes, got {given!r}."
        )
    if size is None:
        each = tuple(math.floor(s * n) for s, n in zip(each, spatial, strict=True))
    if not all(is_integer(m) and m > 0 for m in each):
        raise ValueError(
            f"`{name}` expects whole sizes of at least 1, got {each}. Pass another "
            f"`{'scale' if size is None else 'size'}`."
        )
    return list(each)
