"""Propagated: a value with its derivatives along directions and the sum of the second ones.

What is the same for all directions or samples is used by many: in half precision its derivative is
a sum, which `accumulating` adds in float32.
"""

import functools
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import accumulating


class Propagated(NamedTuple):
    """A value, its derivatives along each direction, and the sum of the second derivatives.

    Attributes:
        value: the value.
        jacobian: the derivatives, with the directions along an axis before the last, so that those
            of a sample stand side by side in memory; of a scalar, along the only axis. An axis of
            the value has size 1 in it where the derivatives are the same along the axis, as those
            of a first layer are for all samples.
        laplacian: the sum over the directions of the second derivatives; None where it is zero.
    """

    value: Float[Array, "..."]
    jacobian: Float[Array, "... directions features"]
    laplacian: Float[Array, "..."] | None = None


Operand: TypeAlias = Array | Propagated
"""What a rule gets: an array if it does not depend on the points."""


def directions_axis(rank: int) -> int:
    """The axis of the directions in the Jacobian of a value that has `rank` axes."""
    return max(rank - 1, 0)


def axis_of(jacobian: Array) -> int:
    """The axis of the directions in `jacobian`."""
    return directions_axis(jacobian.ndim - 1)


def full_jacobian(operand: Propagated) -> Array:
    """The derivatives with all axes of the value."""
    axis = axis_of(operand.jacobian)
    shape = list(operand.value.shape)
    shape.insert(axis, operand.jacobian.shape[axis])
    return accumulating(lambda j: jnp.broadcast_to(j, shape), operand.jacobian)


def full_laplacian(operand: Propagated) -> Array:
    """The second derivatives as an array, also where they are zero."""
    return jnp.zeros_like(operand.value) if operand.laplacian is None else operand.laplacian


def sum_of_products(left: Array, right: Array) -> Array:
    """The sum over the directions of the products of two Jacobians."""
    return jnp.sum(left * right, axis=axis_of(left))


def scaled(jacobian: Array, factor: Array) -> Array:
    """`jacobian` times a factor that is the same for all directions."""
    return accumulating(lambda j, f: j * jnp.expand_dims(f, axis_of(j)), jacobian, factor)


def times(factor: Array, products: Array) -> Array:
    """`factor` times sums of products, which may be the same for all samples."""
    return accumulating(jnp.multiply, factor, products)


def total(terms: list[Array]) -> Array:
    """The sum of at least one array."""
    return functools.reduce(lambda a, b: accumulating(jnp.add, a, b), terms)


def total_or_zero(terms: list[Array]) -> Array | None:
    """The sum of arrays; None without any."""
    return total(terms) if terms else None
