"""fallbacks: the primitives of a function that an operator has no rule for."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, PyTree

from ...programs import Call
from ..primitives._types import Differentiable

_noted: ContextVar[list["Fallback"] | None] = ContextVar("noted", default=None)


class Fallback(NamedTuple):
    """A primitive that an operator differentiates by JAX's rules, one order after the other.

    Attributes:
        primitive: its name.
        line: the user's source line, "?" if unknown.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import autodiff
        >>> x = jnp.ones((4, 3), jnp.float32)
        >>> [found] = autodiff.fallbacks(autodiff.laplacian, lambda x: jnp.cumprod(x, axis=1), x)
        >>> found.primitive
        'cumprod'
    """

    primitive: str
    line: str


def fallbacks(
    operator: Callable[..., PyTree],
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    **options: PyTree,
) -> list[Fallback]:
    """The primitives that `operator(f, x, *args, **options)` differentiates without a rule of ours.

    Operators that pass several derivatives through a program together, such as `laplacian`, have a
    rule for most primitives. Any other is differentiated by forward mode over forward mode, for
    that equation alone: right, but in more operations. This traces the operator and computes
    nothing.

    Args:
        operator: `laplacian`, `bilaplacian`, or any other function of `f`, `x` and the rest.
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        **options: further arguments of `operator`.

    Returns:
        A `Fallback` for each such equation, in the order of the program; operators with one pass
        for each coordinate have none.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import autodiff
        >>> x = jnp.ones((4, 3), jnp.float32)
        >>> autodiff.fallbacks(autodiff.laplacian, jnp.sin, x)
        []
    """
    found: list[Fallback] = []
    token = _noted.set(found)
    try:
        jax.eval_shape(lambda x: operator(f, x, *args, **options), x)
    finally:
        _noted.reset(token)
    return list(dict.fromkeys(found))


def note_fallback(call: Call) -> None:
    """Tell `fallbacks`, if it is listening, of an equation without a rule."""
    if (found := _noted.get()) is not None:
        found.append(Fallback(call.name, call.line))
