"""Second derivatives by the coordinates of each point."""

from jaxtyping import Array, Float, PyTree

from ...core.internal import check_integer
from ..points._columns import along, forward_columns
from ..points._directions import direction_at
from ..points._points import field_of
from ..primitives._types import Differentiable
from ._jacobian import check_scalar, gradient_function, jacobian_function


def hessian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    chunk_size: int | None = None,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "... coordinates coordinates"]:
    """The Hessian ∂²f/∂xᵢ∂xⱼ of each value at each point.

    It is computed in forward mode over that mode which takes fewer passes for the Jacobian.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        chunk_size: how many columns are computed at a time, to save memory; by default all.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x) with two more axes, the last; for values (batch, 1) it is
        (batch, 1, coordinates, coordinates).

    Raises:
        ValueError: `f` mixes samples.
        TypeError: the points are not real floats.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> hessian(lambda x: x[:, 0] * x[:, 1] ** 2, x).tolist()
        [[[0.0, 4.0], [4.0, 2.0]]]
    """
    field = field_of("hessian", f, x, args, state_policy=state_policy, check_samples=check_samples)
    if chunk_size is not None:
        check_integer("hessian", "chunk_size", chunk_size, least=1)
    return forward_columns(field, jacobian_function(field), chunk_size)


def hvp(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    direction: Float[Array, "*#batch coordinates"],
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "*batch coordinates"]:
    """The Hessian of `f` times a direction at each point, without the Hessian: ∇(∇f · v).

    It takes forward mode over reverse mode once, whatever the number of coordinates; where `f` has
    a `while` loop, forward mode over forward mode, once for each coordinate.

    Args:
        f: a function `f(x, *args)` of all points at once, with one value for each; a layer, whose
            `args` are `ps, st`, or a `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        direction: the direction v of each point, or one for all.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of `x`.

    Raises:
        ValueError: more than one value for each point; a direction of another shape; `f` mixes
            samples.
        TypeError: the points are not real floats; a direction of another dtype.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> hvp(lambda x: x[:, 0] * x[:, 1] ** 2, x, (1.0, 0.0)).tolist()
        [[0.0, 4.0]]
    """
    field = field_of("hvp", f, x, args, state_policy=state_policy, check_samples=check_samples)
    check_scalar("hvp", field)
    return along(gradient_function(field), direction_at("hvp", field, direction))(field.x)
