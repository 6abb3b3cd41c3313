"""Weights as length times direction."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._op import op
from ._moments import working
from ._power_of_two import inverse_power_of_two


@op("v")
def norm_except(v: Float[Array, "..."], axis: int | None = None) -> Float[Array, "..."]:
    """The Euclidean norm over all axes but `axis`, which are kept with size 1.

    Args:
        v: any shape.
        axis: the axis whose entries have norms of their own; None for one norm of the whole.

    Returns:
        The norms in the dtype of `v`; float16 and bfloat16 are summed in float32 and rounded at the
        end. The gradient at 0 is 0.

    Raises:
        ValueError: `v` has no such axis.
        TypeError: `v` is not of real floats.

    Source: `_norm_except` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> v = jnp.asarray([[3.0, 4.0], [6.0, 8.0]], jnp.float32)
        >>> norm_except(v, 0).tolist()
        [[5.0], [10.0]]
    """
    _check_axis("norm_except", v, axis)
    wide, dtype = working("norm_except", v)
    _, norm, unit = _norm(wide, axis)
    return (norm / unit).astype(dtype)


@op("v", "g")
def weightnorm(
    v: Float[Array, "..."], g: Float[Array, "..."], axis: int | None = None
) -> Float[Array, "..."]:
    """w = g v / ‖v‖, with the norm over all axes but `axis`; 0 where v is.

    Args:
        v: the direction, any shape.
        g: the length, of the shape of `norm_except(v, axis)`.
        axis: the axis whose entries have lengths of their own; None for one length of the whole.

    Returns:
        As `v`, in the wider of the dtypes; float16 and bfloat16 are computed in float32 and rounded
        at the end.

    Raises:
        ValueError: `v` has no such axis; `g` has another shape.
        TypeError: an array is not of real floats.
        EltypeMismatchError: float16 meets bfloat16.

    Source: the layer `WeightNorm` of Lux 1.31. arXiv 1602.07868.

    Example:
        >>> import jax.numpy as jnp
        >>> v, g = jnp.asarray([[3.0, 4.0]], jnp.float32), jnp.asarray([[10.0]], jnp.float32)
        >>> weightnorm(v, g).tolist()
        [[6.0, 8.0]]
    """
    wide, dtype = working("weightnorm", v, g)
    _check_axis("weightnorm", v, axis)
    scaled, norm, _ = _norm(wide, axis)
    if g.shape != norm.shape:
        raise ValueError(
            f"`weightnorm` expects `g` of shape {norm.shape}, a length for each norm of `v`, got "
            f"{g.shape}."
        )
    factor = g.astype(wide.dtype) / jnp.where(norm == 0, jnp.ones_like(norm), norm)
    return (scaled * factor).astype(dtype)


def _check_axis(name: str, v: Array, axis: int | None) -> None:
    if axis is not None and not -v.ndim <= axis < v.ndim:
        raise ValueError(
            f"`{name}` expects `axis` to be an axis of `v` or None, got {axis!r} for `v` of shape "
            f"{v.shape}."
        )


def _norm(v: Array, axis: int | None) -> tuple[Array, Array, Array]:
    """v times a power of two, its norm, and the power, with which no square is out of range."""
    axes = tuple(i for i in range(v.ndim) if axis is None or i != axis % v.ndim)
    unit = inverse_power_of_two(jnp.max(jnp.abs(v), axes, keepdims=True, initial=0.0))
    scaled = v * unit
    squares = jnp.sum(scaled * scaled, axes, keepdims=True)
    is_zero = squares == 0
    # The root has no derivative at zero, where it is not taken.
    root = jnp.sqrt(jnp.where(is_zero, jnp.ones_like(squares), squares))
    return scaled, jnp.where(is_zero, jnp.zeros_like(root), root), unit
