"""Operators of second order, by one forward pass."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..points._directions import matrix_at
from ..points._points import field_of
from ..primitives._types import Differentiable
from ..propagation._propagated import axis_of
from ._laplacian import sum_of_second_derivatives, unit_rows


def second_order_operator(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    a: Float[Array, "... coordinates coordinates"],
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The operator ∑ᵢⱼ aᵢⱼ ∂²f/∂xᵢ∂xⱼ of each value at each point, for any matrix a.

    The matrix need not be definite or symmetric; only its symmetric part counts. It is not
    factorised, so that the result is linear in it and has a derivative by it. One pass through the
    program of `f` takes about the work of 2 D + 2 evaluations of `f` for D coordinates; `laplacian`
    with `directions` takes as many as there are directions, and two more.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        a: the matrix, (coordinates, coordinates) for all points, or (*batch, coordinates,
            coordinates), such as a function of the points, whose own derivatives do not enter.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: `a` has another shape; `f` mixes samples.
        TypeError: the points are not real floats; `a` is of a wider dtype; a function with a
            `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> xt = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> wave = jnp.array([[-4.0, 0.0], [0.0, 1.0]], jnp.float32)  # ∂²/∂t² - 4 ∂²/∂x²
        >>> second_order_operator(lambda xt: xt[:, 0] ** 2 * xt[:, 1] ** 2, xt, wave).tolist()
        [-30.0]
    """
    owner = "second_order_operator"
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    matrix = matrix_at(owner, field, a)
    units = jnp.broadcast_to(unit_rows(field), matrix.shape)
    rows = jnp.concatenate([units, matrix], axis=-2)
    return sum_of_second_derivatives(field.function, field.x, rows, _partner)


def _partner(jacobian: Float[Array, "... directions features"]) -> Array:
    """Half the derivatives, with the halves exchanged: each row of `a` meets its coordinate."""
    axis, shape = axis_of(jacobian), jacobian.shape
    halves = jacobian.reshape(*shape[:axis], 2, shape[axis] // 2, *shape[axis + 1 :])
    return jnp.flip(halves, axis).reshape(shape) / 2
