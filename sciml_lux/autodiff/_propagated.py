"""Propagated: a value with its derivatives along directions and the sum of the second ones."""

import functools
import operator
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..precision import accumulating


class Propagated(NamedTuple):
    """A value, its derivatives along each direction, and the sum of the second derivatives.

    Attributes:
        value: the value.
        jacobian: the derivatives, one direction after the other along the first axis. An axis of
            the value has size 1 in it where the derivatives are the same along the axis, as those
            of a first layer are for all samples.
        laplacian: the sum over the directions of the second derivatives; None where it is zero.
    """

    value: Float[Array, "..."]
    jacobian: Float[Array, "directions ..."]
    laplacian: Float[Array, "..."] | None = None


Operand: TypeAlias = Array | Propagated
"""What a rule gets: an array if it does not depend on the points."""


def full_jacobian(operand: Propagated) -> Float[Array, "directions ..."]:
    """The derivatives with all axes of the value."""
    return jnp.broadcast_to(operand.jacobian, (len(operand.jacobian), *operand.value.shape))


def full_laplacian(operand: Propagated) -> Float[Array, "..."]:
    """The second derivatives as an array, also where they are zero."""
    return jnp.zeros_like(operand.value) if operand.laplacian is None else operand.laplacian


def sum_of_products(
    left: Float[Array, "directions ..."], right: Float[Array, "directions ..."]
) -> Float[Array, "..."]:
    """The sum over the directions of the products."""
    return jnp.sum(left * right, axis=0)


def scaled(
    jacobian: Float[Array, "directions ..."], factor: Float[Array, "..."]
) -> Float[Array, "directions ..."]:
    """`jacobian` times a factor that is the same for all directions.

    In half precision the derivative by the factor is a sum over directions, added in float32.
    """
    return accumulating(lambda j, f: j * f[None], jacobian, factor)


def total(terms: list[Array]) -> Array:
    """The sum of at least one array."""
    return functools.reduce(operator.add, terms)


def total_or_zero(terms: list[Array]) -> Array | None:
    """The sum of arrays; None without any."""
    return total(terms) if terms else None
