"""Divergence and curl of vector fields."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..points._columns import forward_columns
from ..points._points import Field, field_of
from ..primitives._types import Differentiable


def divergence(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "*batch"]:
    """The divergence ∑ᵢ ∂fᵢ/∂xᵢ at each point, of a function with as many values as coordinates.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of the batch.

    Raises:
        ValueError: another number of values; `f` mixes samples.
        TypeError: the points are not real floats.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]], jnp.float32)
        >>> divergence(lambda x: x**2, x).tolist()
        [6.0, 14.0]
    """
    field = field_of(
        "divergence", f, x, args, state_policy=state_policy, check_samples=check_samples
    )
    check_vector("divergence", field, (field.x.shape[-1],))
    return jnp.trace(forward_columns(field, field.function), axis1=-2, axis2=-1)


def curl(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The curl ∇×f at each point, in three or two dimensions.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        (∂f₃/∂y - ∂f₂/∂z, ∂f₁/∂z - ∂f₃/∂x, ∂f₂/∂x - ∂f₁/∂y), an array of the shape of `x`; in two
        dimensions ∂f₂/∂x - ∂f₁/∂y, an array of the shape of the batch.

    Raises:
        ValueError: other than two or three coordinates and as many values; `f` mixes samples.
        TypeError: the points are not real floats.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> curl(lambda x: jnp.stack([-x[:, 1], x[:, 0]], axis=1), x).tolist()
        [2.0]
    """
    field = field_of("curl", f, x, args, state_policy=state_policy, check_samples=check_samples)
    if field.x.shape[-1] not in (2, 3):
        raise ValueError(
            "`curl` expects two or three coordinates along the last axis of `x`, got shape "
            f"{field.x.shape}."
        )
    check_vector("curl", field, (field.x.shape[-1],))
    columns = forward_columns(field, field.function)

    def rotation(i: int, j: int) -> Array:
        return columns[..., j, i] - columns[..., i, j]

    if field.x.shape[-1] == 2:
        return rotation(0, 1)
    return jnp.stack([rotation(1, 2), rotation(2, 0), rotation(0, 1)], axis=-1)


def check_vector(owner: str, field: Field, wanted: tuple[int, ...]) -> None:
    """Raise unless the field has `wanted` values at each point.

    Raises:
        ValueError: it has others.
    """
    if field.out != wanted:
        raise ValueError(
            f"`{owner}` expects `f` to have as many values for each point as coordinates, "
            f"{wanted}, got values of shape {field.out}."
        )
