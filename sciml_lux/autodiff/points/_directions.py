"""Directions: what an operator takes the derivative along."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.internal import is_integer
from ...precision.internal import own_array, require_exact_floats
from ._points import Field
from ._varying import varying_as


def direction_at(
    owner: str, field: Field, direction: Float[Array, "*#batch coordinates"]
) -> Float[Array, "*batch coordinates"]:
    """`direction` at each point of the field.

    Args:
        owner: the operator, for messages.
        field: the field.
        direction: an array of the shape of `x` or of its last axes; Python numbers take the dtype
            of the points.

    Raises:
        ValueError: another shape.
        TypeError: not real floats, or of a wider dtype than the points.
    """
    direction = _in_dtype_of_points(owner, "direction", field, direction)
    rank = direction.ndim
    if rank == 0 or rank > field.x.ndim or direction.shape != field.x.shape[-rank:]:
        raise ValueError(
            f"`{owner}` expects `direction` to have the shape {field.x.shape} of `x`, or that of "
            f"its last axis for one direction at all points, got {direction.shape}."
        )
    return jnp.broadcast_to(direction, field.x.shape)


def directions_at(
    owner: str, field: Field, directions: Float[Array, "... directions coordinates"]
) -> Float[Array, "... directions coordinates"]:
    """`directions` with all axes of the points of the field, of size 1 where they are for all.

    Args:
        owner: the operator, for messages.
        field: the field.
        directions: the rows are directions, of each point or for all points.

    Raises:
        ValueError: another shape.
        TypeError: not real floats, or of a wider dtype than the points.
    """
    directions = _in_dtype_of_points(owner, "directions", field, directions)
    count, ones = field.x.shape[-1], (1,) * len(field.batch)
    if directions.ndim == 2 and directions.shape[1] == count:
        return directions.reshape(*ones, *directions.shape)
    if (
        directions.ndim != field.x.ndim + 1
        or (
            *directions.shape[:-2],
            directions.shape[-1],
        )
        != field.x.shape
    ):
        raise ValueError(
            f"`{owner}` expects `directions` to have the shape (directions, {count}), or "
            f"{(*field.batch, 'directions', count)} for directions of each point, got "
            f"{directions.shape}."
        )
    return directions


def matrix_at(
    owner: str, field: Field, matrix: Float[Array, "... coordinates coordinates"]
) -> Float[Array, "... coordinates coordinates"]:
    """`matrix` with all axes of the points of the field, of size 1 where it is for all.

    Args:
        owner: the operator, for messages.
        field: the field.
        matrix: a square matrix, of each point or for all points.

    Raises:
        ValueError: another shape.
        TypeError: not real floats, or of a wider dtype than the points.
    """
    matrix = _in_dtype_of_points(owner, "a", field, matrix)
    square = (field.x.shape[-1],) * 2
    if matrix.shape not in (square, (*field.batch, *square)):
        raise ValueError(
            f"`{owner}` expects `a` to have the shape {square}, or {(*field.batch, *square)} for a "
            f"matrix of each point, got {matrix.shape}."
        )
    return matrix.reshape(*[1] * len(field.batch), *square) if matrix.shape == square else matrix


def coordinate_index(owner: str, name: str, index: int, count: int) -> int:
    """`index` of one of `count` coordinates, from the front.

    Raises:
        TypeError: it is not an integer.
        ValueError: there is no such coordinate.
    """
    if not is_integer(index):
        raise TypeError(
            f"`{owner}` expects `{name}` to be the index of a coordinate, got {index!r}."
        )
    if not -count <= index < count:
        raise ValueError(
            f"`{owner}` expects `{name}` to be one of the {count} coordinates along the last axis "
            f"of `x`, from {-count} to {count - 1}, got {index}."
        )
    return int(index) % count


def coordinate_indices(
    owner: str, by: str | Sequence[int], coordinates: str | Sequence[str], count: int
) -> list[int]:
    """The coordinates in `by`, which are named or counted, by index.

    Args:
        owner: the operator, for messages.
        by: names of one letter, as in "xxy", or indices, as in (0, 0, 1).
        coordinates: the names of the coordinates.
        count: how many there are; names beyond are not used.

    Raises:
        TypeError: `by` is one index, or an index is not an integer.
        ValueError: a coordinate that is not there; none; a name that is not one letter, or that is
            used twice.
    """
    if not hasattr(by, "__len__"):
        raise TypeError(
            f'`{owner}` expects `by` to be names, such as "xxy", or indices, such as (0, 0, 1), '
            f"got {by!r}."
        )
    if not len(by):
        raise ValueError(f"`{owner}` expects `by` to name at least one coordinate, got {by!r}.")
    if not isinstance(by, str):
        return [coordinate_index(owner, "by", index, count) for index in by]
    known = list(coordinates)[:count]
    if not all(isinstance(name, str) and len(name) == 1 for name in known):
        raise ValueError(
            f'`{owner}` expects `coordinates` to be names of one letter, such as "xt", got '
            f"{coordinates!r}."
        )
    if len(set(known)) < len(known):
        raise ValueError(f"`{owner}` expects `coordinates` to differ, got {coordinates!r}.")
    for name in by:
        if name not in known:
            raise ValueError(
                f"`{owner}` expects the coordinates of `x`, the {count} of its last axis, to be "
                f"named by {', '.join(known)}, got {name!r} in {by!r}. Pass coordinates=, such as "
                '"xt".'
            )
    return [known.index(name) for name in by]


def _in_dtype_of_points(owner: str, name: str, field: Field, given: Float[Array, "..."]) -> Array:
    """`given` in the dtype of the points, which is no narrower."""
    if not hasattr(given, "dtype"):
        given = _as_array(owner, name, given, field.x.dtype)
    require_exact_floats(given, f"`{owner}`: `{name}`")
    if not jnp.issubdtype(given.dtype, jnp.floating) or not _fits(given.dtype, field.x.dtype):
        raise TypeError(
            f"`{owner}` expects `{name}` to hold floats no wider than the {field.x.dtype} of the "
            f"points, got {given.dtype}. Convert it, or the points."
        )
    return varying_as(field.x, own_array(given).astype(field.x.dtype))


def _as_array(owner: str, name: str, given: object, dtype: jnp.dtype) -> Array:
    """Python numbers as an array.

    Raises:
        TypeError: they are something else, or rows of different lengths.
    """
    try:
        return jnp.asarray(given, dtype)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{owner}` expects `{name}` to be an array of numbers, got {given!r}."
        ) from None


def _fits(dtype: jnp.dtype, wanted: jnp.dtype) -> bool:
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(dtype, wanted) == wanted
