"""second_order: q'' = a(t, q, args) as a vector field."""

import types
from collections.abc import Callable
from typing import Any

from jaxtyping import Array, PyTree

from ...core.internal import check_function


def second_order(acceleration: Callable[..., PyTree]) -> Callable[..., tuple[PyTree, PyTree]]:
    """The vector field of q'' = acceleration(t, q, args), for states (q, p) with p = q'.

    It is for `ode.solve`, with a symplectic solver or any other; where the problem has inputs they
    are the last argument. Two of one function are equal, and share compiled programs.

    Args:
        acceleration: q'' of the time, the positions and the arguments, a tree like p.

    Returns:
        The field, (p, q'') in the form of the state: a `Phase` or another `NamedTuple`, or a tuple.

    Raises:
        TypeError: `acceleration` is not a function.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> @second_order
        ... def pendulum(t, q, args):
        ...     return -jnp.sin(q)
        >>> pendulum(0.0, ode.Phase(q=jnp.zeros(()), p=jnp.ones(())), None).q.item()
        1.0
    """
    check_function("second_order", "acceleration", acceleration)
    # A method of the function: `ode.solve` then looks it up by the function.
    return types.MethodType(_first_order, acceleration)


def _first_order(
    acceleration: Callable[..., PyTree], t: Array, u: tuple[PyTree, PyTree], *given: PyTree
) -> Any:
    q, p = u
    change = acceleration(t, q, *given)
    kind: Any = type(u)
    return kind(p, change) if hasattr(u, "_fields") else (p, change)
