"""Dropout: entries set to zero by chance."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Key

from ...core.internal import check_number, is_integer
from ...precision import accumulating
from .._op import op


@op("x")
def dropout(
    key: Key[Array, ""],
    x: Inexact[Array, "..."],
    p: float,
    training: bool,
    *,
    axes: int | tuple[int, ...] | None = None,
    mask: Float[Array, "..."] | Bool[Array, "..."] | None = None,
    update_mask: bool | Bool[Array, ""] = True,
) -> tuple[Inexact[Array, "..."], Float[Array, "..."] | None, Key[Array, ""]]:
    """x mask, with mask = (u > p) / (1 - p) and u ~ U(0, 1), so that the mean stays.

    Args:
        key: typed random key.
        x: floating or complex.
        p: the chance of 0, a number; 0 keeps x as it is and 1 makes it 0.
        training: whether anything is done.
        axes: along which the mask varies, an axis or several; along the others it is shared. All
            by default.
        mask: one to use again where `update_mask` is false: what an earlier call returned, or
            booleans, true where x is kept.
        update_mask: whether a new mask is drawn; may be an array, also under `jit`.

    Returns:
        y as `x`; the mask, of the size of x along `axes` and 1 along the others, in the (real)
        dtype of x; and a new key. With `training=False`, `x`, `mask` and `key` as they are.

    Raises:
        ValueError: `p` is not in [0, 1]; x has no such axis; `mask` has another shape.
        TypeError: `training` is not a bool; x is not floating or complex; `mask` has another dtype,
            which would give its digits to y.

    Source: `dropout` of LuxLib 1.15, both forms. u is drawn in the dtype of x, but in float32 for
        float16 and bfloat16, in whose few digits 1 - p would be missed by up to 1/128. With
        `training=False` Lux returns x as the mask.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones(4, jnp.float32)
        >>> y, mask, key = dropout(jax.random.key(0), x, 0.5, True)
        >>> set(y.tolist()) <= {0.0, 2.0}, dropout(key, x, 0.5, False)[0].tolist()
        (True, [1.0, 1.0, 1.0, 1.0])
    """
    if not isinstance(training, bool):
        raise TypeError(
            f"`dropout` expects `training` to be True or False, got {training!r}. Say which: it "
            "cannot be seen from whether a gradient is taken."
        )
    p = probability("dropout", p)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(
            f"`dropout` expects `x` to be floating or complex, got {x.dtype}. Convert it, for "
            "example x.astype(jnp.float32)."
        )
    if not training:
        return x, mask, key
    dtype, shape = jnp.finfo(x.dtype).dtype, _mask_shape(x, axes)
    if mask is not None and mask.shape != shape:
        raise ValueError(
            f"`dropout` expects `mask` of shape {shape}, the sizes of `x` along `axes` and 1 "
            f"elsewhere, got {mask.shape}."
        )
    if mask is not None and mask.dtype not in (dtype, jnp.bool_):
        raise TypeError(
            f"`dropout` expects `mask` to be {dtype} as `x` is, or boolean, got {mask.dtype}. Pass "
            "`mask != 0`, which has no digits to lose."
        )
    if mask is not None and mask.dtype == jnp.bool_:
        mask = _scaled(mask, p, dtype)
    if mask is None or update_mask is not False:
        key, use = jax.random.split(key)
        drawn = _scaled(keep_mask(use, shape, p, dtype), p, dtype)
        mask = drawn if mask is None else jnp.where(update_mask, drawn, mask)
    return accumulating(jnp.multiply, x, mask.astype(x.dtype)), mask, key


def probability(name: str, p: Any) -> float:
    """The chance `p` of the op `name`, as a Python number.

    Raises:
        TypeError: `p` is not a number.
        ValueError: it is not in [0, 1].
    """
    check_number(name, "p", p, least=0, most=1)
    return float(p)


def keep_mask(key: jax.Array, shape: tuple[int, ...], p: float, dtype: Any) -> jax.Array:
    """u > p for u ~ U(0, 1), and true everywhere for p = 0, where u may be 0."""
    if p == 0:
        return jnp.ones(shape, jnp.bool_)
    u = jax.random.uniform(key, shape, jnp.float64 if dtype == jnp.float64 else jnp.float32)
    return u > p


def _scaled(keep: jax.Array, p: float, dtype: Any) -> jax.Array:
    scale = 1.0 / (1.0 - p) if p < 1 else 0.0
    return jnp.where(keep, jnp.asarray(scale, dtype), jnp.asarray(0.0, dtype))


def _mask_shape(x: Any, axes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if axes is None:
        return x.shape
    axes = axes if isinstance(axes, tuple) else (axes,)
    if not all(is_integer(a) and -x.ndim <= a < x.ndim for a in axes):
        raise ValueError(
            f"`dropout` expects `axes` to be axes of `x` or None, got {axes} for `x` of shape "
            f"{x.shape}."
        )
    varied = {a % x.ndim for a in axes}
    return tuple(n if i in varied else 1 for i, n in enumerate(x.shape))
