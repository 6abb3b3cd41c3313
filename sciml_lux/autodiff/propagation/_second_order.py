"""The rules of primitives by their first and second derivatives, which JAX knows.

Each takes the `Call` of an equation and its operands, of which some are `Propagated`.
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...programs import Call
from ..primitives._equations import has_derivative, shape_of
from ._fallbacks import note_fallback
from ._operands import function_of, results_of
from ._propagated import (
    Operand,
    Propagated,
    axis_of,
    directions_axis,
    full_jacobian,
    full_laplacian,
    scaled,
    sum_of_products,
    times,
    total,
)

Result = Operand | Sequence[Operand]
Partner = Callable[[Array], Array]
"""Of derivatives along directions, those along the partner of each."""


def second_order(partner: Partner, call: Call, *operands: Operand) -> Result:
    """A primitive by forward mode over forward mode along each direction and its partner."""
    note_fallback(call)
    function, given = _of_propagated(call, operands)
    values = tuple(operand.value for operand in given)

    def along(direction: list[Array], other: list[Array]) -> tuple[list[Array], list[Array]]:
        def push(*values: Array) -> list[Array]:
            return jax.jvp(function, values, tuple(direction))[1]

        return jax.jvp(push, values, tuple(other))

    directions = list(map(full_jacobian, given))
    others = list(map(partner, directions))
    jacobians, second = _of_each_direction(call, along, directions, others, lists=2)
    ys, laplacians = jax.jvp(function, values, tuple(map(full_laplacian, given)))
    sums = [lap + jnp.sum(s, axis=axis_of(s)) for lap, s in zip(laplacians, second, strict=True)]
    return results_of(call, operands, map(Propagated, ys, jacobians, sums))


def linear(call: Call, *operands: Operand) -> Result:
    """A primitive that is linear, or affine, in those operands together that are `Propagated`."""
    function, given = _of_propagated(call, operands)
    values = tuple(operand.value for operand in given)

    def push(direction: list[Array]) -> list[Array]:
        return jax.jvp(function, values, tuple(direction))[1]

    directions = list(map(full_jacobian, given))
    [jacobians] = _of_each_direction(call, lambda direction: (push(direction),), directions)
    ys, laplacians = function(*values), [None] * len(jacobians)
    if any(operand.laplacian is not None for operand in given):
        laplacians = push(list(map(full_laplacian, given)))
    return results_of(call, operands, map(Propagated, ys, jacobians, laplacians))


def _of_each_direction(
    call: Call,
    function: Callable[..., tuple[list[Array], ...]],
    *directions: list[Array],
    lists: int = 1,
) -> tuple[list[Array], ...]:
    """`function` of each direction, all at once; it returns as many `lists` like the results."""
    ranks = [len(shape_of(v)) for v in call.equation.outvars if has_derivative(v)]
    out_axes = (list(map(directions_axis, ranks)),) * lists
    in_axes = tuple(list(map(axis_of, jacobians)) for jacobians in directions)
    return jax.vmap(function, in_axes, out_axes)(*directions)


def elementwise(partner: Partner, call: Call, *operands: Operand) -> Result:
    """A function of the entries in one place, by its partial derivatives there."""
    function, given = _of_propagated(call, operands)
    values = tuple(operand.value for operand in given)
    if any(jnp.iscomplexobj(value) for value in values):
        return second_order(
            partner, call, *operands
        )  # Not every such function has a complex derivative.
    jacobians = [aligned(operand, call) for operand in given]
    [y], slopes, curvatures = _partial_derivatives(function, values)
    jacobian = total(list(map(scaled, jacobians, slopes)))
    terms = [
        slope * operand.laplacian
        for operand, slope in zip(given, slopes, strict=True)
        if operand.laplacian is not None
    ]
    for (i, j), curvature in curvatures.items():
        products = sum_of_products(jacobians[i], partner(jacobians[j]))
        terms.append(times(curvature if i == j else 2 * curvature, products))
    return results_of(call, operands, [Propagated(y, jacobian, total(terms))])


def _partial_derivatives(
    function: Callable[..., list[Array]], values: tuple[Array, ...]
) -> tuple[list[Array], list[Array], dict[tuple[int, int], Array]]:
    """The value, the first and the second partial derivatives of an elementwise function."""
    directions = [
        tuple(jnp.ones_like(v) if i == j else jnp.zeros_like(v) for j, v in enumerate(values))
        for i in range(len(values))
    ]

    def slope(*values: Array, along: int) -> Array:
        return jax.jvp(function, values, directions[along])[1][0]

    slopes = [slope(*values, along=i) for i in range(len(values))]
    curvatures = {
        (i, j): jax.jvp(lambda *v, i=i: slope(*v, along=i), values, directions[j])[1]
        for i, j in itertools.combinations_with_replacement(range(len(values)), 2)
    }
    return function(*values), slopes, curvatures


def aligned(operand: Propagated, call: Call) -> Array:
    """The derivatives with the axes of the result; of a scalar they are the same everywhere."""
    rank = len(shape_of(call.equation.outvars[0]))
    if operand.value.ndim == rank:
        return operand.jacobian
    shape = [1] * rank
    shape.insert(directions_axis(rank), -1)
    return operand.jacobian.reshape(shape)


def _of_propagated(
    call: Call, operands: tuple[Operand, ...]
) -> tuple[Callable[..., list[Array]], list[Propagated]]:
    """The results that have derivatives, as a function of the operands that have."""
    propagated = {i: o for i, o in enumerate(operands) if isinstance(o, Propagated)}
    return function_of(call, operands, list(propagated)), list(propagated.values())
