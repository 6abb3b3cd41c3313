"""The divergence of a flux or stress that depends on a function and its gradient."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..points._columns import directions
from ..points._points import Field, field_of
from ..points._samples import check_samples_are_independent
from ..primitives._types import Differentiable
from ..propagation._taylor import derivatives_along

Flux: TypeAlias = Callable[[Array, Array, Array], Array]
"""A function of the points, of the values of f, and of its gradient."""

OWNER = "flux_divergence"


def flux_divergence(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    flux: Flux,
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The divergence ∇·F(x, u, ∇u) of a flux or stress F at each point, with u = f(x).

    Such are ∇·(k(x, u) ∇u), diffusion with any conductivity, and ∑ⱼ ∂σᵢⱼ/∂xⱼ, the force of a
    stress. `f` is evaluated once: u, ∇u and the second derivatives pass through its program
    together, in about the work of (D + 1)(D + 2)/2 evaluations of `f` for D coordinates.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        flux: a function `flux(x, u, gradient)` of all points at once, where `u` has the shape of
            f(x) and `gradient` one axis more, the coordinates, as the last. It returns an array
            with the batch axes in front and the components of the flux along the last axis.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` and `flux` to be functions of each point by itself without
            reading their programs.

    Returns:
        An array of the shape of the flux without its last axis.

    Raises:
        ValueError: a flux of another shape; `f` or `flux` mixes samples.
        TypeError: the points are not real floats; `flux` is not a function or does not return
            floats; a function with a `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> f = lambda x: x[:, 0] * x[:, 1]
        >>> flux_divergence(f, x, lambda x, u, gradient: u[:, None] * gradient).tolist()
        [5.0]
    """
    field = field_of(OWNER, f, x, args, state_policy=state_policy, check_samples=check_samples)
    of_flux = _checked_flux(field, flux, check_samples)
    if not field.x.shape[-1]:
        return jnp.zeros(of_flux.shape[:-1], of_flux.dtype)
    u, gradient, second = _second_derivatives(field)

    def slope(direction: Array, slope: Array, slopes: Array) -> Array:
        return jax.jvp(flux, (field.x, u, gradient), (direction, slope, slopes))[1]

    by_coordinate = jax.vmap(slope, (0, -1, -1), -1)
    slopes = by_coordinate(directions(field), gradient, second)
    return jnp.trace(slopes, axis1=-2, axis2=-1)


def _second_derivatives(field: Field) -> tuple[Array, Array, Array]:
    """The value, the gradient, and the Hessian of the field, in one pass."""
    units = dict(enumerate(directions(field)))
    pairs = {(i, j): tuple(sorted((i, j))) for i in units for j in units}
    found = derivatives_along(field.function, field.x, units, pairs.values())
    gradient = jnp.stack([found[i,] for i in units], axis=-1)
    rows = [jnp.stack([found[pairs[i, j]] for j in units], axis=-1) for i in units]
    return found[()], gradient, jnp.stack(rows, axis=-2)


def _checked_flux(field: Field, flux: Flux, check_samples: bool) -> jax.ShapeDtypeStruct:
    """The shape and dtype of the flux, which has one component for each coordinate at each point.

    Raises:
        TypeError: it is not a function, or does not return floats.
        ValueError: it returns another shape, or mixes samples.
    """
    if not callable(flux):
        raise TypeError(
            f"`{OWNER}` expects `flux` to be a function of (x, u, gradient), got {flux!r}. With a "
            "number k it is lambda x, u, gradient: k * gradient, with a matrix gradient @ k.T."
        )
    count, batch = field.x.shape[-1], field.batch
    wanted = (*batch, count)

    def of_points(x: Array) -> Array:
        sums = x.sum(axis=-1).reshape(*batch, *[1] * len(field.out)).astype(field.dtype)
        u = jnp.broadcast_to(sums, (*batch, *field.out))
        return flux(x, u, jnp.broadcast_to(u[..., None], (*u.shape, count)))

    program, found = jax.make_jaxpr(of_points, return_shape=True)(field.x)
    shape = getattr(found, "shape", None)
    if not shape or len(shape) <= len(batch) or (*shape[: len(batch)], shape[-1]) != wanted:
        raise ValueError(
            f"`{OWNER}` expects `flux` to return one array with the batch axes {batch} in front "
            f"and the {count} components along the last axis, got "
            f"{'shape ' + str(shape) if shape is not None else type(found).__name__}."
        )
    if not jnp.issubdtype(found.dtype, jnp.inexact):
        raise TypeError(f"`{OWNER}` expects `flux` to return floats, got {found.dtype}.")
    if check_samples:
        check_samples_are_independent(OWNER, program, batch, "flux")
    return found
