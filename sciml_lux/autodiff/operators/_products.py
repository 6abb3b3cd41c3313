"""Products of the Jacobian with a vector, without the Jacobian."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...precision.internal import own_array, require_exact_floats
from ..points._points import checked_points
from ..points._state_policy import check_states_stay, function_of_x
from ..primitives._types import Differentiable


def jacobian_vector_product(
    f: Differentiable,
    x: Float[Array, "..."],
    u: Float[Array, "..."],
    *args: PyTree,
    state_policy: str = "refuse",
) -> PyTree:
    """The product (∂f/∂x) u, by one pass of forward mode.

    Args:
        f: a function `f(x, *args)`, a layer, whose `args` are `ps, st`, or a `StatefulLuxLayer`.
            It may mix samples, and return a tree of arrays.
        x: an array of any shape.
        u: an array of the shape and dtype of `x`.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".

    Returns:
        A tree like f(x).

    Raises:
        ValueError: `u` has another shape.
        TypeError: `u` has another dtype; `x` does not hold real floats.
        StateChangedError: the model changes its states.

    Source: `jacobian_vector_product` of Lux 1.31, without the argument for the backend.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([1.0, 2.0], jnp.float32)
        >>> jacobian_vector_product(lambda x: x**2, x, jnp.ones_like(x)).tolist()
        [2.0, 4.0]
    """
    owner = "jacobian_vector_product"
    x = checked_points(owner, x)
    function = function_of_x(owner, f, args, state_policy)
    check_states_stay(owner, f, x, args, state_policy)
    return jax.jvp(function, (x,), (_vector(owner, u, x, "x"),))[1]


def vector_jacobian_product(
    f: Differentiable,
    x: Float[Array, "..."],
    u: PyTree,
    *args: PyTree,
    state_policy: str = "refuse",
) -> Float[Array, "..."]:
    """The product (∂f/∂x)ᵀ u, by one pass of reverse mode.

    Args:
        f: a function `f(x, *args)`, a layer, whose `args` are `ps, st`, or a `StatefulLuxLayer`.
            It may mix samples, and return a tree of arrays.
        x: an array of any shape.
        u: a tree of arrays of the shapes and dtypes of f(x).
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        ValueError: `u` has another structure or shape.
        TypeError: `u` has another dtype; `x` does not hold real floats.
        StateChangedError: the model changes its states.

    Source: `vector_jacobian_product` of Lux 1.31, without the argument for the backend; this one
    has a derivative with respect to `u` too.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([1.0, 2.0], jnp.float32)
        >>> vector_jacobian_product(lambda x: x[0] * x[1], x, jnp.ones((), jnp.float32)).tolist()
        [2.0, 1.0]
    """
    owner = "vector_jacobian_product"
    x = checked_points(owner, x)
    function = function_of_x(owner, f, args, state_policy)
    check_states_stay(owner, f, x, args, state_policy)
    y, pull = jax.vjp(function, x)
    if jax.tree.structure(u) != jax.tree.structure(y):
        raise ValueError(
            f"`{owner}` expects `u` to be a tree like f(x), {jax.tree.structure(y)}, got "
            f"{jax.tree.structure(u)}."
        )
    [product] = pull(jax.tree.map(lambda u, y: _vector(owner, u, y, "f(x)"), u, y))
    return product


def _vector(owner: str, u: Array, like: Array, name: str) -> Array:
    """`u`, which must have the shape and dtype of `like`."""
    require_exact_floats(u, f"`{owner}`: `u`")
    if jnp.shape(u) != like.shape:
        raise ValueError(
            f"`{owner}` expects `u` to have the shape {like.shape} of {name}, got {jnp.shape(u)}."
        )
    if not hasattr(u, "dtype") or u.dtype != like.dtype:
        raise TypeError(
            f"`{owner}` expects `u` to have the dtype {like.dtype} of {name}, got "
            f"{getattr(u, 'dtype', type(u).__name__)}. Convert it: jnp.asarray(u, {name}.dtype)."
        )
    return own_array(u)
