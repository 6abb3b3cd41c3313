"""Weights and masks: how much each loss counts, and which are not seen at all."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..core import describe
from ..precision import accumulated, promote, python_numbers, require_x64_for, result_dtype


class Count(NamedTuple):
    """How the losses count; all entries have their shape, or are None.

    Attributes:
        weights: factors of the losses.
        where: whether a loss is seen.
        inside: the weights of the classes, which the losses have as factors already.
    """

    weights: Any = None
    where: Any = None
    inside: Any = None


def checked_count(name: str, shape: tuple[int, ...], weights: Any, where: Any) -> Count:
    """What `loss(..., weights=weights, where=where)` means for losses of `shape`.

    Raises:
        TypeError: `weights` are not real numbers, or `where` is not of bool.
        ValueError: one of them has not the shape of the losses or of their leading axes.
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
    require_x64_for(weights, f"`{name}`: `weights`")
    return Count(
        *(
            None if array is None else _over_losses(name, keyword, array, shape)
            for keyword, array in (("weights", weights), ("where", where))
        )
    )


def keyword_of(extra: Any) -> dict[str, Any]:
    """The third entry of `data` by the name it has as an argument: a mask if it is of bool."""
    return {"where" if getattr(extra, "dtype", None) == jnp.bool_ else "weights": extra}


def class_weights_of(name: str, class_weights: Any) -> tuple[float, ...] | None:
    """The option `class_weights` as a tuple of numbers.

    Raises:
        ValueError: they are not finite numbers of at least 0.
    """
    if class_weights is None:
        return None
    # Not by way of an array, in which True is 1 beside other numbers.
    listed = class_weights if np.ndim(class_weights) == 1 else [None]
    found = tuple(python_numbers(weight) for weight in listed)
    if not all(_is_weight(weight) for weight in found):
        raise ValueError(
            f"`{name}` expects `class_weights` to be a finite number of at least 0 for each class, "
            f"or None, got {class_weights!r}."
        )
    return tuple(map(float, found))


def hidden(values: Array, where: Array) -> Array:
    """`values` with 1, and no derivative, where they are not seen."""
    return jnp.where(where, values, jnp.ones_like(values))


def weighed(losses: Array, count: Count) -> Array:
    """Weight times loss, 0 where it is not seen, in the dtype of their sums."""
    terms = accumulated(losses)
    if count.weights is not None:
        left, right = promote(terms, _accumulated(count.weights))
        terms = left * right
    return _seen(terms, count.where)


def total_weight(count: Count, dtype: Any) -> Array:
    """The sum of the weights that are seen, or their number where there are no weights."""
    factors = [_accumulated(w) for w in (count.weights, count.inside) if w is not None]
    if not factors:
        # Counted in integers: a float32 to which ones are added ends at 2^24.
        return jnp.sum(count.where, dtype=jnp.int32).astype(dtype)
    first, *rest = promote(*factors)
    product = first * rest[0] if rest else first
    return jnp.sum(_seen(product.astype(dtype), count.where))


def dtype_of(dtype: Any, count: Count) -> Any:
    """The dtype in which losses of `dtype` come back: the widest of theirs and the weights'."""
    weights = [w for w in (count.weights, count.inside) if w is not None]
    return result_dtype(jax.ShapeDtypeStruct((), dtype), *weights)


def _seen(values: Array, where: Array | None) -> Array:
    return values if where is None else jnp.where(where, values, jnp.zeros_like(values))


def _accumulated(weights: Array) -> Array:
    return accumulated(weights) if jnp.issubdtype(weights.dtype, jnp.floating) else weights


def _over_losses(name: str, keyword: str, array: Any, shape: tuple[int, ...]) -> Array:
    given = np.shape(array)
    if given != shape[: len(given)]:
        raise ValueError(
            f"`{name}` expects `{keyword}` of the shape {shape} of the losses, or of its leading "
            f"axes, got shape {given}."
        )
    array = jnp.asarray(array)
    # Widened for the derivative by the weights, which is a sum over what they are broadcast to.
    wide = jax.lax.broadcast_in_dim(_accumulated(array), shape, tuple(range(len(given))))
    return wide.astype(array.dtype)


def _is_weight(weight: Any) -> bool:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return is_number and 0 <= weight < float("inf")


def _is_real(array: Any) -> bool:
    kinds = jnp.integer, jnp.floating
    return hasattr(array, "dtype") and any(jnp.issubdtype(array.dtype, kind) for kind in kinds)


def _word(array: Any) -> str:
    return describe(array) if hasattr(array, "dtype") else type(array).__name__
