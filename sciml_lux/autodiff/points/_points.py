"""Points: what an operator takes as `x`, and what it takes as the value at them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...precision import result_dtype
from ...precision.internal import own_array, require_exact_floats
from ..primitives._reverse_mode import has_reverse_mode
from ..primitives._types import ArrayFunction, Differentiable
from ._samples import check_samples_are_independent
from ._state_policy import check_states_stay, function_of_x


class Field(NamedTuple):
    """A function at points, with the shapes that the operators need.

    Attributes:
        function: the function, of points of the shape of `x` alone.
        x: the points.
        batch: the shape of the batch, which comes first in points and values.
        coordinates: the rest of the shape of `x`.
        out: the rest of the shape of a value.
        dtype: that of a value.
        has_reverse_mode: whether the function has one.
    """

    function: ArrayFunction
    x: Float[Array, "*batch coordinates"]
    batch: tuple[int, ...]
    coordinates: tuple[int, ...]
    out: tuple[int, ...]
    dtype: jnp.dtype
    has_reverse_mode: bool


def field_of(
    owner: str,
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    args: tuple[PyTree, ...],
    *,
    state_policy: str,
    check_samples: bool,
    batch_axes: int = -1,
) -> Field:
    """`f` at the points `x`, checked.

    The points are widened, which is exact, where the values of `f` are of a wider dtype: a
    derivative then has all the digits that the values have.

    Args:
        owner: the operator, for messages.
        f: what is differentiated.
        x: the points.
        args: what `f` takes after `x`.
        state_policy: "refuse" or "frozen".
        check_samples: whether to refuse a function that mixes samples.
        batch_axes: how many of the axes of `x` are batch axes; -1: all but the last.
    """
    x = checked_points(owner, x)
    function = function_of_x(owner, f, args, state_policy)
    check_states_stay(owner, f, x, args, state_policy)
    split = batch_axes % x.ndim
    batch, coordinates = x.shape[:split], x.shape[split:]
    program, y = jax.make_jaxpr(function, return_shape=True)(x)
    _check_value(owner, y, batch)
    if check_samples:
        check_samples_are_independent(owner, program, batch)
    x = x.astype(result_dtype(x, jnp.finfo(y.dtype)))
    reversible = has_reverse_mode(program)
    return Field(function, x, batch, coordinates, y.shape[split:], y.dtype, reversible)


def checked_points(owner: str, x: Float[Array, "*batch coordinates"]) -> Array:
    """`x` as a JAX array of floats with at least one axis.

    Raises:
        TypeError: it is not an array of real floats.
        ValueError: it has no axis of coordinates.
    """
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(
            f"`{owner}` expects `x` to be an array of points, got {x!r}. Convert it: "
            "jnp.asarray(x, dtype)."
        )
    require_exact_floats(x, f"`{owner}`: `x`")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"`{owner}` expects `x` to hold real floats, got {x.dtype}. Convert the points: "
            "jnp.asarray(x, dtype)."
        )
    if x.ndim == 0:
        raise ValueError(
            f"`{owner}` expects the coordinates of a point along the last axis of `x`, got shape "
            "(). Pass one point as (coordinates,), and many as (batch, coordinates)."
        )
    return own_array(x)


def _check_value(owner: str, y: PyTree, batch: tuple[int, ...]) -> None:
    """Raise unless the value is one array of floats with the batch axes in front."""
    if not isinstance(y, jax.ShapeDtypeStruct):
        raise TypeError(
            f"`{owner}` expects `f` to return one array, got {type(y).__name__}. Differentiate "
            "its parts one by one."
        )
    if not jnp.issubdtype(y.dtype, jnp.inexact):
        raise TypeError(f"`{owner}` expects `f` to return floats, got {y.dtype}.")
    if y.shape[: len(batch)] != batch:
        raise ValueError(
            f"`{owner}` expects f(x) to have the batch axes {batch} of `x` in front, got shape "
            f"{y.shape}. `f` is called with all points at once; jax.vmap(f) is such a function "
            "where `f` takes one point."
        )
