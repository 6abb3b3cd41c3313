"""Derivatives of any order along directions and coordinates."""

from collections.abc import Mapping, Sequence

from jaxtyping import Array, Float, PyTree

from ...core.internal import check_integer
from ..points._columns import along, unit
from ..points._directions import coordinate_index, coordinate_indices, direction_at
from ..points._points import Field, field_of
from ..primitives._types import Differentiable
from ..propagation._taylor import derivatives_along
from ..propagation._words import Word


def directional_derivative(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    direction: Float[Array, "*#batch coordinates"],
    *args: PyTree,
    order: int = 1,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The derivative dⁿ/dεⁿ f(x + ε v) at ε = 0, along a direction v at each point.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        direction: the direction v of each point, or one for all. It is not scaled to length 1.
        *args: what `f` takes after `x`.
        order: the order n. The work is about that of n + 1 evaluations of `f`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: a direction of another shape; an order below 1; `f` mixes samples.
        TypeError: the points are not real floats; a direction of another dtype; a function with a
            `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> f = lambda x: x[:, 0] * x[:, 1] ** 2
        >>> directional_derivative(f, x, (1.0, 1.0), order=2).tolist()
        [10.0]
    """
    owner = "directional_derivative"
    check_integer(owner, "order", order, least=1)
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    return _derivative(field, {0: direction_at(owner, field, direction)}, (0,) * order)


def partial(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    by: str | Sequence[int],
    *args: PyTree,
    coordinates: str | Sequence[str] = "xyz",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The partial or mixed derivative of `f` by the coordinates in `by`, such as ∂³f/∂x²∂y.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        by: the coordinates by name, as in "xxy", or by index, as in (0, 0, 1). The work is about
            that of n + 1 evaluations of `f` for one coordinate n times, and of (n + 1)(m + 1) for
            n times one and m times another.
        *args: what `f` takes after `x`.
        coordinates: the names of the coordinates in the order of the last axis of `x`, such as
            "xt".
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: a coordinate that is not there; `f` mixes samples.
        TypeError: the points are not real floats; a function with a `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> xt = jnp.array([[3.0, 2.0]], jnp.float32)
        >>> partial(lambda xt: xt[:, 0] ** 2 * xt[:, 1] ** 2, xt, "xxt", coordinates="xt").tolist()
        [8.0]
    """
    field = field_of("partial", f, x, args, state_policy=state_policy, check_samples=check_samples)
    indices = coordinate_indices("partial", by, coordinates, field.x.shape[-1])
    return _derivative(field, {i: unit(field, i) for i in indices}, tuple(sorted(indices)))


def time_derivative(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    time: int = -1,
    order: int = 1,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The derivative ∂ⁿf/∂tⁿ by the coordinate that is time, by default the last: x = (..., t).

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        time: the index of time among the coordinates.
        order: the order n. The work is about that of n + 1 evaluations of `f`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: a coordinate that is not there; an order below 1; `f` mixes samples.
        TypeError: the points are not real floats; a function with a `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> xt = jnp.array([[3.0, 2.0]], jnp.float32)
        >>> time_derivative(lambda xt: xt[:, 0] * xt[:, 1] ** 2, xt).tolist()
        [12.0]
    """
    owner = "time_derivative"
    check_integer(owner, "order", order, least=1)
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    index = coordinate_index(owner, "time", time, field.x.shape[-1])
    return _derivative(field, {0: unit(field, index)}, (0,) * order)


def _derivative(field: Field, directions: Mapping[int, Array], word: Word) -> Array:
    """The derivative along directions, by one pass where JAX would take several."""
    if len(word) == 1:
        return along(field.function, directions[word[0]])(field.x)
    return derivatives_along(field.function, field.x, directions, [word])[word]
