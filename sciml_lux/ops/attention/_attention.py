"""Scaled dot-product attention."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...precision import accumulated, accumulating, promote
from .._op import op
from ..random import dropout as drop


def make_causal_mask(num_queries: int, num_keys: int | None = None) -> Bool[Array, "queries keys"]:
    """mask[i, j] = (j <= i): a query sees the keys up to its own position.

    Args:
        num_queries: length of the queries.
        num_keys: length of the keys; by default as many.

    Returns:
        (num_queries, num_keys), True where the key may be seen.

    Source: `make_causal_mask` of NNlib.jl, which takes an array and counts its axis, and whose
        queries lie along the columns.

    Example:
        >>> make_causal_mask(2, 3).tolist()
        [[True, False, False], [True, True, False]]
    """
    shape = (num_queries, num_queries if num_keys is None else num_keys)
    query = jax.lax.broadcasted_iota(jnp.int32, shape, 0)
    return jax.lax.broadcasted_iota(jnp.int32, shape, 1) <= query


@op("query", "key", "value", "mask", "bias")
def scaled_dot_product_attention(
    query: Float[Array, "... queries heads dim"],
    key: Float[Array, "... keys groups dim"],
    value: Float[Array, "... keys groups value_dim"],
    *,
    scale: float | None = None,
    mask: Bool[Array, "..."] | None = None,
    is_causal: bool = False,
    bias: Float[Array, "..."] | None = None,
    dropout: Callable[[Array], Array] | tuple[Array, float] | None = None,
    return_weights: bool = True,
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Any:
    """Σⱼ wᵢⱼ valueⱼ with w = softmaxⱼ(scale queryᵢ·keyⱼ + biasᵢⱼ), in each head by itself.

    Args:
        query: (..., queries, heads, dim).
        key: (..., keys, groups, dim); `heads` is a multiple of `groups`, and as many neighbouring
            heads share a group.
        value: (..., keys, groups, value_dim).
        scale: factor on the dot products; by default 1/√dim.
        mask: True where a key is kept; (queries, keys), or (..., heads, queries, keys) with 1 on
            axes along which it is the same. A query that keeps no key gets zeros, and no gradient.
        is_causal: keep the keys up to the query's position, as `make_causal_mask` does.
        bias: added to the scaled products before they are masked, of shapes as `mask`.
        dropout: a function of the weights; or a pair of a random key and the probability with
            which a weight is dropped, as `ops.dropout` does in training.
        return_weights: whether the weights are returned beside the output.
        precision: of the matrix products.

    Returns:
        output (..., queries, heads, value_dim) and weights (..., heads, queries, keys), as they
        are after dropout, in the widest of the dtypes; or the output alone. With float16 and
        bfloat16 the products and the softmax are accumulated in float32.

    Raises:
        ValueError: shapes that do not fit, `mask` together with `is_causal`, a probability
            outside [0, 1].
        TypeError: an array that is not floating, a mask that is not boolean.

    Source: `scaled_dot_product_attention` of LuxLib 1.15. `scale` multiplies, as in the formula of
        its documentation and in PyTorch; its code divides by it. Lux returns NaN for a query
        without a key.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((5, 3, 2, 4), jnp.float32)
        >>> y, weights = scaled_dot_product_attention(x, x, x, is_causal=True)
        >>> y.shape, weights.shape, weights[0, 0, 1].tolist()
        ((5, 3, 2, 4), (5, 2, 3, 3), [0.5, 0.5, 0.0])
    """
    _check(query, key, value)
    if mask is not None and is_causal:
        raise ValueError(
            "`scaled_dot_product_attention` expects `mask` or `is_causal`, got both. Combine them: "
            "mask & make_causal_mask(num_queries, num_keys)."
        )
    if is_causal:
        mask = make_causal_mask(query.shape[-3], key.shape[-3])
    biases = () if bias is None else (bias,)
    query, key, value, *biases = promote(query, key, value, *biases)
    key, value = (
        _shared(array, query.shape[-2] // max(array.shape[-2], 1)) for array in (key, value)
    )
    scores = jnp.einsum(
        "...qhd,...khd->...hqk",
        query,
        key,
        precision=precision,
        preferred_element_type=_at_least_float32(query.dtype),
    )
    scores = scores * float(1.0 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale)
    for addend in biases:
        scores = scores + _broadcast_to_scores("bias", accumulated(addend), scores.shape)
    if mask is not None:
        scores = jnp.where(_keep_mask(mask, scores.shape), scores, -jnp.inf)
    weights = _dropped(_softmax(scores).astype(query.dtype), dropout)
    output = jnp.einsum("...hqk,...khd->...qhd", weights, value, precision=precision)
    return (output, weights) if return_weights else output


def _softmax(scores: Array) -> Array:
    """Softmax over the last axis, with zeros where every score is -inf or there is none."""
    peak = jnp.max(jax.lax.stop_gradient(scores), axis=-1, keepdims=True, initial=-jnp.inf)
    powers = jnp.exp(scores - jnp.where(peak == -jnp.inf, jnp.zeros_like(peak), peak))
    total = jnp.sum(powers, axis=-1, keepdims=True)
    return powers / jnp.where(total == 0, jnp.ones_like(total), total)


def _dropped(weights: Array, dropout: Any) -> Array:
    if dropout is None:
        return weights
    if not isinstance(dropout, tuple):
        return dropout(weights)
    key, probability = dropout
    return drop(key, weights, probability, True)[0]


def _at_least_float32(dtype: np.dtype) -> np.dtype:
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def _shared(array: Array, times: int) -> Array:
    """Keys or values, each group repeated for the neighbouring heads that share it."""
    if times == 1:
        return array
    return accumulating(lambda array: jnp.repeat(array, times, axis=-2), array)


def _keep_mask(mask: Array, shape: tuple[int, ...]) -> Array:
    if mask.dtype != jnp.bool_:
        raise TypeError(
            "`scaled_dot_product_attention` expects `mask` to be boolean, True where a key is "
            f"kept, got {mask.dtype.name}. Pass numbers that are added to the scores as `bias`."
        )
    return _broadcast_to_scores("mask", mask, shape)


def _broadcast_to_scores(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    """A mask or bias, broadcast to the shape of the scores."""
    pairs = zip(array.shape[::-1], shape[::-1], strict=False)
    if array.ndim not in (2, len(shape)) or not all(size in (1, full) for size, full in pairs):
        raise ValueError(
            f"`scaled_dot_product_attention` expects `{name}` to be (queries, keys) = "
            f"{shape[-2:]} or (..., heads, queries, keys) = {shape}, with 1 on axes along which "
            f"it is the same, got shape {array.shape}."
        )
    return jnp.broadcast_to(array, shape)


def _check(query: Array, key: Array, value: Array) -> None:
    for name, array in (("query", query), ("key", key), ("value", value)):
        if not jnp.issubdtype(array.dtype, np.floating):
            raise TypeError(
                f"`scaled_dot_product_attention` expects `{name}` to be floating, got "
                f"{array.dtype.name}. Convert it: {name}.astype(dtype)."
            )
    fits = (
        query.ndim == key.ndim == value.ndim >= 3
        and query.shape[:-3] == key.shape[:-3]
        and key.shape[:-1] == value.shape[:-1]
        and query.shape[-1] == key.shape[-1]
        and query.shape[-2] % max(key.shape[-2], 1) == 0
        and (key.shape[-2] > 0 or query.shape[-2] == 0)
    )
    if not fits:
        raise ValueError(
            "`scaled_dot_product_attention` expects `query` (..., queries, heads, dim), `key` "
            "(..., keys, groups, dim) and `value` (..., keys, groups, value_dim) with equal "
            f"leading axes and `heads` a multiple of `groups`, got {query.shape}, {key.shape} and "
            f"{value.shape}."
        )
