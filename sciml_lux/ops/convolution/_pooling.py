"""Pooling: windows of the spatial axes become one number each, channel by channel."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ...core.internal import check_number
from ...precision import accumulated, accumulating
from .._op import op
from ._windows import Padding, PerAxis, Windows, windows


@op("x")
def max_pool(
    x: Float[Array, "batch *spatial channels"],
    window: tuple[int, ...],
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> Float[Array, "batch *pooled channels"]:
    """The greatest number of each window.

    Of equal numbers the first, in the order of the array, has the derivative. NaN stays NaN.

    Args:
        x: (batch, *spatial, channels).
        window: its size along each spatial axis.
        stride: from one window to the next; the size of the window unless given.
        padding: places without a number around `x`: an integer, or for each axis an integer or a
            pair (low, high).
        dilation: distance of neighbours in a window.

    Returns:
        (batch, *pooled, channels), with ⌊(size + padding - (window - 1) dilation - 1) / stride⌋ + 1
        along each axis.

    Raises:
        TypeError: integers or complex numbers; a window that is not a tuple.
        ValueError: the windows do not fit, or one lies in the padding alone.

    Source: `maxpool` of NNlib, as Lux 1.31 exports it. The derivative is written out because JAX
        has none for its own pooling with dilation, and a slow one without.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([1.0, 3.0, 2.0, 0.0], jnp.float32).reshape(1, 4, 1)
        >>> max_pool(x, (2,))[0, :, 0].tolist()
        [3.0, 2.0]
    """
    where, counts = _placed("max_pool", x, window, stride, padding, dilation)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`max_pool` expects `x` to be floating, got {x.dtype}. Convert it.")
    if any(_misses(n, *axis) for n, *axis in zip(x.shape[1:-1], counts, *where, strict=True)):
        raise ValueError(
            f"`max_pool` expects every window to hold a number of `x`, got shape {x.shape} with "
            f"window {where.size}, dilation {where.dilation} and padding {where.padding}, where "
            "one lies in the padding alone. Pad less."
        )

    def greatest(x: Array) -> Array:
        x = _padded(x, where, -math.inf)
        # The last axis first: the first of equal numbers is then first in the order of the array.
        for axis in reversed(range(len(counts))):
            x = _running_max(x, axis + 1, where.size[axis], where.dilation[axis])
            x = jax.lax.slice_in_dim(x, 0, None, where.stride[axis], axis=axis + 1)
        return x

    return accumulating(greatest, x)


@op("x")
def mean_pool(
    x: Inexact[Array, "batch *spatial channels"],
    window: tuple[int, ...],
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> Inexact[Array, "batch *pooled channels"]:
    """The mean of each window, in which padding counts as zeros.

    float16 and bfloat16 are summed in float32.

    Args:
        x: (batch, *spatial, channels).
        window: as in `max_pool`.
        stride: as in `max_pool`.
        padding: as in `max_pool`.
        dilation: as in `max_pool`.

    Returns:
        As `max_pool`.

    Raises:
        TypeError: integers; a window that is not a tuple.
        ValueError: the windows do not fit.

    Source: `meanpool` of NNlib, as Lux 1.31 exports it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([1.0, 3.0, 2.0, 0.0], jnp.float32).reshape(1, 4, 1)
        >>> mean_pool(x, (2,))[0, :, 0].tolist()
        [2.0, 1.0]
    """
    where, counts = _placed("mean_pool", x, window, stride, padding, dilation)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(
            f"`mean_pool` expects `x` to be floating or complex, got {x.dtype}. Convert it."
        )
    y = accumulated(x)
    for axis in range(len(counts)):
        y = _running_sum(y, axis, where)
    return (y / math.prod(where.size)).astype(x.dtype)


@op("x")
def lp_pool(
    x: Float[Array, "batch *spatial channels"],
    window: tuple[int, ...],
    *,
    p: float = 2,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> Float[Array, "batch *pooled channels"]:
    """(Σ |x|ᵖ)^(1/p) over each window.

    At a window of zeros, where a norm has no derivative, ours is 0, and so are those of higher
    order. Numbers are divided by the greatest of their window first, so that powers neither
    overflow nor vanish. float16 and bfloat16 are summed in float32.

    Args:
        x: (batch, *spatial, channels).
        window: as in `max_pool`.
        p: above 0 and finite; a norm from 1 on.
        stride: as in `max_pool`.
        padding: zeros around `x`, as in `max_pool`.
        dilation: as in `max_pool`.

    Returns:
        As `max_pool`.

    Raises:
        TypeError: integers or complex numbers; a window or `p` of another type.
        ValueError: the windows do not fit; `p` out of bounds.

    Source: `lpnormpool` of NNlib, as Lux 1.31 exports it, and arXiv 1311.1780. NNlib takes xᵖ,
        which differs for odd p, and NaN where a sum is negative; ours is the norm.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([3.0, -4.0, 0.0, 0.0], jnp.float32).reshape(1, 4, 1)
        >>> lp_pool(x, (2,))[0, :, 0].tolist()
        [5.0, 0.0]
    """
    where, counts = _placed("lp_pool", x, window, stride, padding, dilation)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"`lp_pool` expects `x` to be floating, got {x.dtype}. Convert it.")
    y = _padded(accumulated(x), where, 0.0)
    # Axis 1 + i of the spatial axes becomes two: windows, and places in a window.
    for axis in range(len(counts)):
        starts = np.arange(counts[axis])[:, None] * where.stride[axis]
        places = np.arange(where.size[axis])[None, :] * where.dilation[axis]
        y = jnp.take(y, jnp.asarray(starts + places, jnp.int32), axis=1 + 2 * axis)
    y = _norm(y, tuple(2 + 2 * axis for axis in range(len(counts))), exponent("lp_pool", p))
    return y.astype(x.dtype)


def exponent(name: str, p: float) -> float:
    """The p of an Lp norm.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not above 0 and finite.
    """
    check_number(name, "p", p, above=0)
    if p == math.inf:
        raise ValueError(
            f"`{name}` expects `p` to be finite, got {p!r}. Pool |x| by the maximum for inf."
        )
    return float(p)


def _placed(
    name: str,
    x: Array,
    window: tuple[int, ...],
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
) -> tuple[Windows, tuple[int, ...]]:
    """The windows, and how many there are along each axis."""
    where = windows(name, window, window if stride is None else stride, padding, dilation)
    if x.ndim != len(where.size) + 2:
        raise ValueError(
            f"`{name}` expects `x` (batch, *spatial, channels) with {len(where.size)} spatial axes "
            f"for the window {window}, got shape {x.shape}. Add a batch axis if it lacks one: "
            "x[None]."
        )
    return where, where.counts(name, x.shape[1:-1])


def _misses(
    n: int, count: int, size: int, stride: int, padding: tuple[int, int], dilation: int
) -> bool:
    """Whether a window along an axis of `n` lies in the padding alone."""
    starts = np.arange(count)[:, None] * stride - padding[0]
    places = starts + np.arange(size)[None, :] * dilation
    return not ((places >= 0) & (places < n)).any(1).all()


def _padded(x: Array, where: Windows, value: float) -> Array:
    if not any(map(any, where.padding)):
        return x
    widths = [(0, 0, 0), *((low, high, 0) for low, high in where.padding), (0, 0, 0)]
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), widths)


def _running_max(x: Array, axis: int, size: int, dilation: int) -> Array:
    """The greatest of every `size` neighbours, from those of half as many."""
    held = 1
    while held < size:
        step = min(held, size - held)
        n = x.shape[axis]
        first = jax.lax.slice_in_dim(x, 0, n - step * dilation, axis=axis)
        second = jax.lax.slice_in_dim(x, step * dilation, n, axis=axis)
        x = jnp.where((second <= first) | jnp.isnan(first), first, second)
        held += step
    return x


def _running_sum(x: Array, axis: int, where: Windows) -> Array:
    """The sum of the windows along one spatial axis."""

    def along(value: int) -> tuple[int, ...]:
        return tuple(value if i == axis + 1 else 1 for i in range(x.ndim))

    padding = [(0, 0)] * x.ndim
    padding[axis + 1] = where.padding[axis]
    return jax.lax.reduce_window(
        x,
        0.0,
        jax.lax.add,
        along(where.size[axis]),
        along(where.stride[axis]),
        padding,
        window_dilation=along(where.dilation[axis]),
    )


def _norm(x: Array, axes: tuple[int, ...], p: float) -> Array:
    """(Σ |x|ᵖ)^(1/p) over `axes`."""
    greatest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axes, keepdims=True))
    scale = jnp.where((greatest > 0) & jnp.isfinite(greatest), greatest, jnp.ones_like(greatest))
    total = jnp.sum(_power(x / scale, p), axis=axes)
    scale = jnp.squeeze(scale, axes)
    # The branch not taken sees 1: a root has no derivative at 0.
    inner = jnp.where(total == 0, jnp.ones_like(total), total)
    root = jnp.sqrt(inner) if p == 2 else inner ** (1.0 / p)
    return jnp.where(total == 0, jnp.zeros_like(total), scale * root)


def _power(x: Array, p: float) -> Array:
    """|x|ᵖ, with derivative 0 at 0 where it has none."""
    if p.is_integer() and p > 1:
        return jax.lax.integer_pow(x if p % 2 == 0 else jnp.abs(x), int(p))
    size = jnp.where(x == 0, jnp.ones_like(x), jnp.abs(x))
    return jnp.where(x == 0, jnp.zeros_like(x), size**p)
