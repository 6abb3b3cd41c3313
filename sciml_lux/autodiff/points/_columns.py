"""Derivatives of all samples at once, along one direction or along many."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision.internal import is_compiling
from ..primitives._types import ArrayFunction
from ._points import Field
from ._varying import varying_as


def along(function: ArrayFunction, direction: Float[Array, "..."]) -> ArrayFunction:
    """The derivative of `function` along `direction`, as a function of the points."""
    return lambda x: jax.jvp(function, (x,), (direction,))[1]


def unit(field: Field, coordinate: int) -> Float[Array, "*batch coordinates"]:
    """The direction of one coordinate at all points."""
    return varying_as(field.x, jnp.zeros_like(field.x).at[..., coordinate].set(1))


def directions(field: Field) -> Float[Array, "directions ..."]:
    """The direction of each coordinate at all points, along a new first axis."""
    return _basis(field.coordinates, field.batch, field.x)


def forward_columns(
    field: Field, function: ArrayFunction, chunk_size: int | None = None
) -> Float[Array, "..."]:
    """The derivatives of `function` by each coordinate, by forward mode."""

    def column(direction: Array) -> Array:
        return along(function, direction)(field.x)

    columns = _mapped(column, directions(field), chunk_size)
    columns = columns.reshape(*field.coordinates, *columns.shape[1:])
    count = len(field.coordinates)
    return jnp.moveaxis(columns, range(count), range(-count, 0))


def reverse_rows(
    field: Field, function: ArrayFunction, chunk_size: int | None = None
) -> Float[Array, "..."]:
    """The derivatives of `function`, whose values are those of the field, by reverse mode."""
    y, pull = jax.vjp(function, field.x)
    rows = _mapped(lambda row: pull(row)[0], _basis(field.out, field.batch, y), chunk_size)
    rows = rows.reshape(*field.out, *rows.shape[1:])
    first, count = len(field.batch), len(field.out)
    return jnp.moveaxis(rows, range(count), range(first, first + count))


def _basis(shape: tuple[int, ...], batch: tuple[int, ...], like: Array) -> Array:
    """For each entry of an array of `shape`, ones there and zeros elsewhere, for each sample."""
    size = math.prod(shape)
    entries = jnp.eye(size, dtype=like.dtype).reshape(size, *[1] * len(batch), *shape)
    return varying_as(like, jnp.broadcast_to(entries, (size, *batch, *shape)))


def _mapped(
    function: ArrayFunction, xs: Float[Array, "rows ..."], chunk_size: int | None
) -> Float[Array, "rows ..."]:
    """`function` of each of `xs`, all at once or `chunk_size` at a time."""
    mapped = jax.vmap(function)
    if chunk_size is None or chunk_size >= len(xs):
        return mapped(xs)
    if is_compiling():
        return jax.lax.map(function, xs, batch_size=chunk_size)
    # Outside of `jax.jit` a loop of JAX would be compiled at each call.
    chunks = [xs[start : start + chunk_size] for start in range(0, len(xs), chunk_size)]
    return jnp.concatenate([mapped(chunk) for chunk in chunks])
