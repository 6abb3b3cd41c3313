"""Padding of the spatial axes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from ...core.internal import is_integer
from ...precision import accumulating, promote
from .._op import op

Padding = int | Sequence[int | tuple[int, int]]


@op("x", "value")
def pad_constant(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding, value: complex | Array = 0
) -> Shaped[Array, "batch *padded channels"]:
    """x with `value` around its spatial axes.

    Args:
        x: (batch, *spatial, channels).
        padding: what is added at both ends of each spatial axis: one number for all, or a sequence
            with an entry for each, a number or a pair (low, high).
        value: a number, or an array of shape ().

    Returns:
        (batch, *padded, channels) in the dtype of `x`; in the wider one where `value` is an array.

    Raises:
        ValueError: `x` without spatial axes, `padding` below 0 or not of one entry for each axis,
            `value` with axes.
        TypeError: a fraction around integers, a complex number around real ones.

    Source: `pad_constant` of NNlib, as Lux 1.31 exports it; that one pads batch and channels too
        unless it is told which axes.

    Example:
        >>> import jax.numpy as jnp
        >>> pad_constant(jnp.ones((1, 2, 1), jnp.float32), ((1, 2),), 5.0)[0, :, 0].tolist()
        [5.0, 1.0, 1.0, 5.0, 5.0]
    """
    widths = _widths("pad_constant", x, padding)
    if hasattr(value, "dtype"):
        x, value = promote(x, jnp.asarray(value))
    elif not _holds(x.dtype, value):
        raise TypeError(
            f"`pad_constant` expects `value` to be a number that {x.dtype} holds, got {value!r}. "
            "Convert `x` first, or pass another number."
        )
    if jnp.shape(value) != ():
        raise ValueError(
            f"`pad_constant` expects `value` of shape (), got {jnp.shape(value)}. Pass one number."
        )

    if not hasattr(value, "dtype"):
        return jnp.pad(x, widths, constant_values=jnp.asarray(value, x.dtype))

    # JAX fails to differentiate its pad by the value alone.
    framed = jnp.pad(x, widths)
    inside = jnp.pad(jnp.ones((1, *x.shape[1:-1], 1), bool), widths)
    around = accumulating(lambda value: jnp.broadcast_to(value, framed.shape), jnp.asarray(value))
    return jnp.where(inside, framed, around)


@op("x")
def pad_zeros(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding
) -> Shaped[Array, "batch *padded channels"]:
    """x with zeros around its spatial axes.

    Args:
        x: (batch, *spatial, channels).
        padding: as in `pad_constant`.

    Returns:
        (batch, *padded, channels).

    Raises:
        ValueError: as in `pad_constant`.

    Source: `pad_zeros` of NNlib, as Lux 1.31 exports it, for spatial axes only.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(3, dtype=jnp.float32).reshape(1, 3, 1)
        >>> pad_zeros(x, 2)[0, :, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0]
    """
    return jnp.pad(x, _widths("pad_zeros", x, padding))


@op("x")
def pad_reflect(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding
) -> Shaped[Array, "batch *padded channels"]:
    """x mirrored at its border elements, which are not repeated: c b | a b c | b a.

    Args:
        x: (batch, *spatial, channels).
        padding: as in `pad_constant`; less than the size of the axis.

    Returns:
        (batch, *padded, channels).

    Raises:
        ValueError: as in `pad_constant`; more padding than there is to mirror.

    Source: `pad_reflect` of NNlib, as Lux 1.31 exports it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(3, dtype=jnp.float32).reshape(1, 3, 1)
        >>> pad_reflect(x, 2)[0, :, 0].tolist()
        [2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0]
    """
    return _repeating(x, _widths("pad_reflect", x, padding, spare=1), "reflect")


@op("x")
def pad_symmetric(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding
) -> Shaped[Array, "batch *padded channels"]:
    """x mirrored at its border, elements at the border repeated: b a | a b c | c b.

    Args:
        x: (batch, *spatial, channels).
        padding: as in `pad_constant`; at most the size of the axis.

    Returns:
        (batch, *padded, channels).

    Raises:
        ValueError: as in `pad_constant`; more padding than there is to mirror.

    Source: `pad_symmetric` of NNlib, as Lux 1.31 exports it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(3, dtype=jnp.float32).reshape(1, 3, 1)
        >>> pad_symmetric(x, 2)[0, :, 0].tolist()
        [1.0, 0.0, 0.0, 1.0, 2.0, 2.0, 1.0]
    """
    return _repeating(x, _widths("pad_symmetric", x, padding, spare=0), "symmetric")


@op("x")
def pad_repeat(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding
) -> Shaped[Array, "batch *padded channels"]:
    """x with its border elements repeated: a a | a b c | c c.

    Args:
        x: (batch, *spatial, channels).
        padding: as in `pad_constant`.

    Returns:
        (batch, *padded, channels).

    Raises:
        ValueError: as in `pad_constant`; an axis without elements to repeat.

    Source: `pad_repeat` of NNlib, as Lux 1.31 exports it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(3, dtype=jnp.float32).reshape(1, 3, 1)
        >>> pad_repeat(x, 2)[0, :, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0]
    """
    widths = _widths("pad_repeat", x, padding)
    for size, width in zip(x.shape, widths, strict=True):
        if size == 0 and any(width):
            raise ValueError(
                "`pad_repeat` expects an element to repeat along every axis it pads, got `x` of "
                f"shape {x.shape}. Pass spatial axes of at least 1."
            )
    return _repeating(x, widths, "edge")


@op("x")
def pad_circular(
    x: Shaped[Array, "batch *spatial channels"], padding: Padding
) -> Shaped[Array, "batch *padded channels"]:
    """x continued periodically: b c | a b c | a b.

    Args:
        x: (batch, *spatial, channels).
        padding: as in `pad_constant`; at most the size of the axis.

    Returns:
        (batch, *padded, channels).

    Raises:
        ValueError: as in `pad_constant`; more padding than a period.

    Source: `pad_circular` of NNlib, as Lux 1.31 exports it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(3, dtype=jnp.float32).reshape(1, 3, 1)
        >>> pad_circular(x, 2)[0, :, 0].tolist()
        [1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]
    """
    return _repeating(x, _widths("pad_circular", x, padding, spare=0), "wrap")


def _repeating(x: Array, widths: list[tuple[int, int]], mode: str) -> Array:
    return accumulating(lambda x: jnp.pad(x, widths, mode=mode), x)


def _widths(
    name: str, x: Array, padding: Padding, spare: int | None = None
) -> list[tuple[int, int]]:
    """(low, high) for every axis of `x`; with `spare`, each is at most the size less that."""
    spatial = x.shape[1:-1]
    if not spatial:
        raise ValueError(
            f"`{name}` expects `x` (batch, *spatial, channels) with a spatial axis or more, got "
            f"shape {x.shape}. Add the axes that are missing."
        )
    entries = padding if isinstance(padding, tuple | list) else (padding,) * len(spatial)
    pairs: list[Any] = [tuple(p) if isinstance(p, tuple | list) else (p, p) for p in entries]
    if len(pairs) != len(spatial) or not all(_is_pair(pair) for pair in pairs):
        raise ValueError(
            f"`{name}` expects `padding` of at least 0: a number, or for each of {len(spatial)} "
            f"spatial axes a number or a pair (low, high), got {padding!r}."
        )
    for size, pair in zip(spatial, pairs, strict=True):
        if spare is not None and max(pair) > max(size - spare, 0):
            raise ValueError(
                f"`{name}` expects `padding` of at most {max(size - spare, 0)} along an axis of "
                f"size {size}, got {pair}. Pad less, or several times."
            )
    return [(0, 0), *pairs, (0, 0)]


def _holds(dtype: np.dtype, value: Any) -> bool:
    with jax.numpy_dtype_promotion("standard"):
        return value == 0 or jnp.result_type(dtype, value) == dtype


def _is_pair(pair: tuple) -> bool:
    return len(pair) == 2 and all(is_integer(w) and w >= 0 for w in pair)
