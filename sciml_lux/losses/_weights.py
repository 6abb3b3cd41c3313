"""Weights and masks: how much each loss counts, and which losses are ignored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array

from ..core.internal import describe
from ..precision import accumulated, promote, result_dtype
from ..precision.internal import own_memory, python_numbers, require_exact_numbers


class Count(NamedTuple):
    """How much the losses count; each entry has their shape, or is None.

    Attributes:
        weights: factors of the losses.
        where: True for a loss that counts, False for one that is ignored.
        inside: the class weights, which are factors of the losses already.
    """

    weights: Array | None = None
    where: Array | None = None
    inside: Array | None = None


def checked_count(
    name: str, shape: tuple[int, ...], weights: Array | None, where: Array | None
) -> Count:
    """The `weights` and `where` of a call as arrays of the `shape` of the losses.

    Raises:
        TypeError: `weights` are not real numbers, or `where` is not of bool.
        ValueError: one of them does not have the shape of the losses or of their leading axes.
    """
    if weights is not None and not _is_real(weights):
        raise TypeError(
            f"`{name}` expects `weights` to be an array of real numbers, got {_word(weights)}. A "
            "mask of bool is given as `where`."
        )
    if where is not None and getattr(where, "dtype", None) != jnp.bool_:
        raise TypeError(
            f"`{name}` expects `where` to be an array of bool, got {_word(where)}. Numbers are "
            "given as `weights`."
        )
    require_exact_numbers(weights, f"`{name}`: `weights`")
    weights, where = own_memory((weights, where))
    return Count(
        *(
            None if array is None else _over_losses(name, keyword, array, shape)
            for keyword, array in (("weights", weights), ("where", where))
        )
    )


def keyword_of(extra: Array) -> dict[str, Any]:
    """The third entry of `data` by its name as an argument: `where` if it is of bool."""
    return {"where" if getattr(extra, "dtype", None) == jnp.bool_ else "weights": extra}


def class_weights_of(name: str, class_weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """The option `class_weights` as a tuple of numbers.

    Raises:
        ValueError: they are not finite numbers of at least 0.
    """
    if class_weights is None:
        return None
    # Not through an array, where True beside numbers becomes 1.
    listed = class_weights if np.ndim(class_weights) == 1 else [None]
    found = tuple(python_numbers(weight) for weight in listed)
    if not all(_is_weight(weight) for weight in found):
        raise ValueError(
            f"`{name}` expects `class_weights` to be a finite number of at least 0 for each class, "
            f"or None, got {class_weights!r}."
        )
    return tuple(map(float, found))


def hidden(values: Array, where: Array) -> Array:
    """`values` with 1, and without a derivative, where they are ignored."""
    return jnp.where(where, values, jnp.ones_like(values))


def weighed(losses: Array, count: Count) -> Array:
    """Weight times loss, 0 where it is ignored, in the dtype of their sums."""
    terms = accumulated(losses)
    if count.weights is not None:
        left, right = promote(terms, _accumulated(count.weights))
        terms = left * right
    return _counted(terms, count.where)


def total_weight(count: Count, dtype: DTypeLike) -> Array:
    """The sum of the weights that count; without weights, the number of losses that count."""
    factors = [_accumulated(w) for w in (count.weights, count.inside) if w is not None]
    if not factors:
        # Counted in integers: a float32 to which ones are added stops at 2^24.
        seen: Any = count.where
        return jnp.sum(seen, dtype=jnp.int32).astype(dtype)
    first, *rest = promote(*factors)
    product = first * rest[0] if rest else first
    return jnp.sum(_counted(product.astype(dtype), count.where))


def dtype_of(dtype: DTypeLike, count: Count) -> Any:
    """The dtype of the result for losses of `dtype`: the widest of theirs and the weights'."""
    weights = [w for w in (count.weights, count.inside) if w is not None]
    return result_dtype(jax.ShapeDtypeStruct((), dtype), *weights)


def _counted(values: Array, where: Array | None) -> Array:
    return values if where is None else jnp.where(where, values, jnp.zeros_like(values))


def _accumulated(weights: Array) -> Array:
    return accumulated(weights) if jnp.issubdtype(weights.dtype, jnp.floating) else weights


def _over_losses(name: str, keyword: str, array: Array, shape: tuple[int, ...]) -> Array:
    given = np.shape(array)
    if given != shape[: len(given)]:
        raise ValueError(
            f"`{name}` expects `{keyword}` of the shape {shape} of the losses, or of its leading "
            f"axes, got shape {given}."
        )
    array = jnp.asarray(array)
    # Widened for the derivative with respect to the weights, a sum over the added axes.
    wide = jax.lax.broadcast_in_dim(_accumulated(array), shape, tuple(range(len(given))))
    return wide.astype(array.dtype)


def _is_weight(weight: Any) -> bool:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return is_number and 0 <= weight < float("inf")


def _is_real(array: Array) -> bool:
    kinds = jnp.integer, jnp.floating
    return hasattr(array, "dtype") and any(jnp.issubdtype(array.dtype, kind) for kind in kinds)


def _word(array: Array) -> str:
    return describe(array) if hasattr(array, "dtype") else type(array).__name__
