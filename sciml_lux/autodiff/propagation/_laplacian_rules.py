"""How value, Jacobian and Laplacian pass each primitive together."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ...precision import accumulating
from ...programs import Call, bind, inlined
from ..primitives._elementwise import is_elementwise
from ..primitives._equations import shape_of
from ..primitives._primitives import CONSTANT, ENTRY_BY_ENTRY, LINEAR, PIECEWISE_LINEAR
from ._operands import Rule, constant, each, guarded, values_of, without_forward_mode
from ._propagated import (
    Operand,
    Propagated,
    axis_of,
    directions_axis,
    full_jacobian,
    scaled,
    sum_of_products,
    times,
    total,
    total_or_zero,
)
from ._second_order import Partner, Result, aligned, elementwise, linear, second_order
from ._slopes import SLOPES


def propagate(partner: Partner, call: Call, *operands: Operand) -> Result:
    """The rule of a primitive that has no other, by what JAX knows of it."""
    rule = elementwise if is_elementwise(call.equation) else second_order
    return rule(partner, call, *operands)


def _known_slopes(partner: Partner, call: Call, x: Propagated) -> Result:
    if jnp.iscomplexobj(x.value):
        return second_order(partner, call, x)
    known = SLOPES[call.name]
    y, slope, curvature = itertools.islice(known.slopes(*known.kept(call, x.value)), 3)
    laplacian = times(curvature, sum_of_products(x.jacobian, partner(x.jacobian)))
    if x.laplacian is not None:
        laplacian = slope * x.laplacian + laplacian
    return Propagated(y, scaled(x.jacobian, slope), laplacian)


def _entry_by_entry(call: Call, x: Propagated) -> Propagated:
    """Of a linear function of each entry, which arrays of all shapes pass alike."""
    laplacian = None if x.laplacian is None else bind(call, x.laplacian)
    return Propagated(bind(call, x.value), bind(call, x.jacobian), laplacian)


def _add(call: Call, left: Operand, right: Operand) -> Propagated:
    return _sum(call, left, right, lambda term: term)


def _subtract(call: Call, left: Operand, right: Operand) -> Propagated:
    return _sum(call, left, right, jnp.negative)


def _sum(call: Call, left: Operand, right: Operand, sign: Callable[[Array], Array]) -> Propagated:
    y, jacobians, laplacians = bind(call, *values_of([left, right])), [], []
    for operand, signed in ((left, lambda term: term), (right, sign)):
        if isinstance(operand, Propagated):
            jacobians.append(signed(aligned(operand, call)))
            if operand.laplacian is not None:
                laplacians.append(jnp.broadcast_to(signed(operand.laplacian), y.shape))
    return Propagated(y, total(jacobians), total_or_zero(laplacians))


def _multiply(partner: Partner, call: Call, left: Operand, right: Operand) -> Propagated:
    values = values_of([left, right])
    y, jacobians, laplacians = bind(call, *values), [], []
    for operand, factor in zip((left, right), reversed(values), strict=True):
        if isinstance(operand, Propagated):
            jacobians.append(_scaled_by_any(aligned(operand, call), factor))
            if operand.laplacian is not None:
                laplacians.append(jnp.broadcast_to(operand.laplacian * factor, y.shape))
    if isinstance(left, Propagated) and isinstance(right, Propagated):
        products = sum_of_products(aligned(left, call), partner(aligned(right, call)))
        laplacians.append(jnp.broadcast_to(2 * products, y.shape))
    return Propagated(y, total(jacobians), total_or_zero(laplacians))


def _scaled_by_any(jacobian: Array, factor: Array) -> Array:
    return jacobian * factor if jnp.ndim(factor) == 0 else scaled(jacobian, factor)


def _divide(partner: Partner, call: Call, left: Operand, right: Operand) -> Result:
    alike = isinstance(left, Propagated) and left.value.shape == shape_of(call.equation.outvars[0])
    if isinstance(right, Propagated) or not isinstance(left, Propagated) or not alike:
        return elementwise(partner, call, left, right)
    laplacian = None if left.laplacian is None else left.laplacian / right
    if jnp.ndim(right) == 0:
        jacobian = left.jacobian / right
    else:
        jacobian = accumulating(
            lambda j, divisor: j / jnp.expand_dims(divisor, axis_of(j)), left.jacobian, right
        )
    return Propagated(bind(call, left.value, right), jacobian, laplacian)


def _dot_general(partner: Partner, call: Call, left: Operand, right: Operand) -> Propagated:
    product = functools.partial(bind, call)
    out_axis = directions_axis(len(shape_of(call.equation.outvars[0])))
    values = values_of([left, right])
    jacobians, laplacians = [], []
    for side, operand in enumerate((left, right)):
        if not isinstance(operand, Propagated):
            continue
        given = list(values)
        given[side] = _free_jacobian(call, operand, side)
        if side == 0 and _is_of_rows(call):
            jacobians.append(_product_of_rows(call, *given))
        else:
            axis = axis_of(given[side])
            along = (axis, None) if side == 0 else (None, axis)
            jacobians.append(jax.vmap(product, along, out_axis)(*given))
        if operand.laplacian is not None:
            given[side] = operand.laplacian
            laplacians.append(product(*given))
    if isinstance(left, Propagated) and isinstance(right, Propagated):
        laplacians.append(2 * _sum_of_dots(partner, call, left, right))
    return Propagated(product(*values), total(jacobians), total_or_zero(laplacians))


def _is_of_rows(call: Call) -> bool:
    """Whether each row of the left operand is multiplied by the same matrix, as in a layer."""
    (of_left, _), (batch, _) = call.params["dimension_numbers"]
    left, right = (len(shape_of(v)) for v in call.equation.invars)
    return not batch and of_left == (left - 1,) and right == 2


def _product_of_rows(call: Call, rows: Array, matrix: Array) -> Array:
    """One product of two matrices: that of more axes costs a copy where it is differentiated."""
    (_, of_matrix), no_batch = call.params["dimension_numbers"]
    flat = lax.collapse(rows, 0, rows.ndim - 1)
    product = lax.dot_general(flat, matrix, (([1], of_matrix), no_batch), **_precision(call))
    return product.reshape(*rows.shape[:-1], product.shape[-1])


def _precision(call: Call) -> Any:
    return {name: call.params[name] for name in ("precision", "preferred_element_type")}


def _free_jacobian(call: Call, operand: Propagated, side: int) -> Array:
    """The derivatives, left at size 1 along axes that the product keeps apart."""
    contracted, batched = call.params["dimension_numbers"]
    taken = (*contracted[side], *batched[side])
    sizes = list(operand.jacobian.shape)
    del sizes[axis_of(operand.jacobian)]
    if all(sizes[axis] == operand.value.shape[axis] for axis in taken):
        return operand.jacobian
    return full_jacobian(operand)


def _sum_of_dots(partner: Partner, call: Call, left: Propagated, right: Propagated) -> Array:
    """The sum over the directions of the products, as one product."""
    a, b = full_jacobian(left), partner(full_jacobian(right))
    (of_a, of_b), (batch_a, batch_b) = call.params["dimension_numbers"]
    contracted = [axis_of(a), *_in_jacobian(a, of_a)], [axis_of(b), *_in_jacobian(b, of_b)]
    batched = _in_jacobian(a, batch_a), _in_jacobian(b, batch_b)
    return lax.dot_general(a, b, (contracted, batched), **_precision(call))


def _in_jacobian(jacobian: Array, axes: Sequence[int]) -> list[int]:
    """Axes of a value, counted in its Jacobian."""
    return [axis + (axis >= axis_of(jacobian)) for axis in axes]


def _product(partner: Partner, call: Call, *operands: Operand) -> Result:
    """Of what is linear in each operand alone."""
    both = sum(isinstance(operand, Propagated) for operand in operands) > 1
    return second_order(partner, call, *operands) if both else linear(call, *operands)


def laplacian_rules(partner: Partner) -> tuple[Mapping[str, Rule], Rule]:
    """The table of rules, and the rule of all other primitives.

    Args:
        partner: of derivatives along directions those along the partner of each, which they are
            multiplied with in sums of second derivatives; for a Laplacian each is its own.
    """
    quadratic = {
        **each(second_order, "scan", "while", "cond"),
        **each(_known_slopes, *SLOPES),
        "conv_general_dilated": _product,
        "custom_jvp_call": propagate,
        "div": _divide,
        "dot_general": _dot_general,
        "mul": _multiply,
    }
    rules = {
        **{name: functools.partial(rule, partner) for name, rule in quadratic.items()},
        **_LINEAR,
    }
    default = functools.partial(propagate, partner)
    return {name: guarded(rule) for name, rule in rules.items()}, guarded(default)


_LINEAR: Mapping[str, Rule] = {
    **each(inlined, "jit", "call", "closed_call", "eval_jaxpr"),
    **each(_entry_by_entry, *ENTRY_BY_ENTRY),
    **each(_add, "add", "add_any"),
    **each(linear, *LINEAR, *PIECEWISE_LINEAR),
    **each(constant, *CONSTANT),
    "custom_vjp_call": without_forward_mode,
    "sub": _subtract,
}
