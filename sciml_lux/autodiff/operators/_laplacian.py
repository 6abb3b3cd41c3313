"""The Laplacian, by one forward pass."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...programs import interpret
from ..points._directions import directions_at
from ..points._points import Field, field_of
from ..points._varying import varying_as
from ..primitives._types import ArrayFunction, Differentiable
from ..propagation._laplacian_rules import laplacian_rules
from ..propagation._propagated import Propagated, full_laplacian
from ..propagation._second_order import Partner


def laplacian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    directions: Float[Array, "... directions coordinates"] | None = None,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The Laplacian ∑ᵢ ∂²f/∂xᵢ² of each value at each point.

    Value, Jacobian and Laplacian pass through the program of `f` together, with a rule for each
    primitive, so that the work is about that of as many evaluations of `f` as there are
    coordinates, and two more. A primitive that has no rule is differentiated twice by itself.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        directions: rows vₖ, of each point or for all points, in place of the unit vectors: the
            result is then ∑ₖ ∂²f/∂vₖ² = ∑ᵢⱼ aᵢⱼ ∂²f/∂xᵢ∂xⱼ with a = ∑ₖ vₖ vₖᵀ, such as the
            diffusion of a stochastic equation. `second_order_operator` takes any a.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: `f` mixes samples; directions of another shape.
        TypeError: the points are not real floats; directions of a wider dtype; a function with a
            `custom_vjp`.
        StateChangedError: the model changes its states.

    Source: Li et al., "A computational framework for neural network-based variational Monte Carlo
    with Forward Laplacian" (2024).

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]], jnp.float32)
        >>> laplacian(lambda x: x[:, 0] ** 2 * x[:, 1], x).tolist()
        [4.0, 8.0]
        >>> mixed = jnp.array([[1.0, 1.0]], jnp.float32)  # ∂²/∂x² + 2 ∂²/∂x∂y + ∂²/∂y²
        >>> laplacian(lambda x: x[:, 0] ** 2 * x[:, 1], x, directions=mixed).tolist()
        [8.0, 20.0]
    """
    field = field_of(
        "laplacian", f, x, args, state_policy=state_policy, check_samples=check_samples
    )
    rows = unit_rows(field)
    if directions is not None:
        rows = directions_at("laplacian", field, directions)
    return sum_of_second_derivatives(field.function, field.x, rows)


def unit_rows(field: Field) -> Float[Array, "... coordinates coordinates"]:
    """The unit vectors, the same at all points, with all axes of the points."""
    count = field.x.shape[-1]
    units = jnp.eye(count, dtype=field.x.dtype).reshape(*[1] * len(field.batch), count, count)
    return varying_as(field.x, units)


def sum_of_second_derivatives(
    function: ArrayFunction,
    x: Array,
    directions: Float[Array, "... directions coordinates"],
    partner: Partner = lambda jacobian: jacobian,
) -> Array:
    """The sum over the directions of the second derivatives along each and its partner.

    Args:
        function: of the points.
        x: the points.
        directions: the directions, of each point or for all points.
        partner: of derivatives along the directions, those along the partner of each.
    """
    rules, default = laplacian_rules(partner)
    program = jax.make_jaxpr(function)(x)
    [y] = interpret(program, [Propagated(x, directions)], rules, default=default)
    return full_laplacian(y) if isinstance(y, Propagated) else jnp.zeros_like(y)
