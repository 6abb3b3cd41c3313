"""The bilaplacian, by one forward pass."""

import itertools
from collections import Counter

from jaxtyping import Array, Float, PyTree

from ..points._columns import unit
from ..points._points import Field, field_of
from ..primitives._types import Differentiable
from ..propagation._propagated import total
from ..propagation._taylor import derivatives_along
from ._laplacian import sum_of_second_derivatives, unit_rows

_MOST = 3
"""The number of coordinates from which the Laplacian of the Laplacian takes less work."""


def bilaplacian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """The bilaplacian Δ²f = ∑ᵢⱼ ∂⁴f/∂xᵢ²∂xⱼ² of each value at each point, as of a plate.

    With up to three coordinates the derivatives of orders one to four pass through the program of
    `f` together, in about the work of 5, 13 or 25 evaluations of `f`; with D more, it is the
    forward Laplacian of the forward Laplacian, about (D + 2)² evaluations.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: `f` mixes samples.
        TypeError: the points are not real floats; a function with a `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> bilaplacian(lambda x: x[:, 0] ** 4 + x[:, 0] ** 2 * x[:, 1] ** 2, x).tolist()
        [32.0]
    """
    field = field_of(
        "bilaplacian", f, x, args, state_policy=state_policy, check_samples=check_samples
    )
    if 0 < field.x.shape[-1] <= _MOST:
        return _sum_of_fourth_derivatives(field)
    rows = unit_rows(field)

    def once(x: Array) -> Array:
        return sum_of_second_derivatives(field.function, x, rows)

    return sum_of_second_derivatives(once, field.x, rows)


def _sum_of_fourth_derivatives(field: Field) -> Array:
    coordinates = range(field.x.shape[-1])
    pairs = itertools.product(coordinates, repeat=2)
    words = Counter(tuple(sorted((i, i, j, j))) for i, j in pairs)
    units = {i: unit(field, i) for i in coordinates}
    found = derivatives_along(field.function, field.x, units, words)
    return total([count * found[word] for word, count in words.items()])
