"""The field of a solve, and the transpose of its derivative, as C functions of scalars."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ....programs import ClosedJaxpr
from ...by_components import Array, by_components, c_function


def field_text(program: ClosedJaxpr, components: int) -> str:
    """`field(t, y, p, dy)`: du/dt.

    Args:
        program: of scalars: the time, the components of the state, the parameters.
        components: the number of those of the state.

    Raises:
        Refusal: why it has no such form.
    """
    arrays = _arrays(program, components)
    return c_function(program, "field", arrays, [arrays[1]._replace(name="dy")])


def field_vjp_text(program: ClosedJaxpr, components: int, moving: Sequence[bool]) -> str:
    """`field_vjp(t, y, p, dy_bar, y_bar, p_bar)`: the cotangents of y and the moving parameters.

    Args:
        program: as above.
        components: as above.
        moving: of each parameter, whether its cotangent is wanted.

    Raises:
        Refusal: why it has no such form.
    """
    arrays = _arrays(program, components)
    y, function = arrays[1], by_components(program)
    dtype = y.dtype

    def transposed(t: jax.Array, *rest: jax.Array) -> list[jax.Array]:
        state, others = list(rest[:components]), rest[components : len(rest) - components]

        def slope(state: list[jax.Array], moved: list[jax.Array]) -> list[jax.Array]:
            some = iter(moved)
            both = (next(some) if m else v for m, v in zip(moving, others, strict=True))
            return [jnp.asarray(k, dtype) for k in function(t, *state, *both)]

        _, pull = jax.vjp(slope, state, list(itertools.compress(others, moving)))
        state_bar, moved_bar = pull(list(rest[len(rest) - components :]))
        return [*state_bar, *moved_bar]

    scalars = [jax.ShapeDtypeStruct((), dtype)] * (len(program.jaxpr.invars) + components)
    return c_function(
        jax.make_jaxpr(transposed)(*scalars),
        "field_vjp",
        [*arrays, y._replace(name="dy_bar")],
        [y._replace(name="y_bar"), Array("p_bar", dtype, sum(moving))],
    )


def _arrays(program: ClosedJaxpr, components: int) -> list[Array]:
    """The time, the state and the parameters in C."""
    dtype = np.dtype(program.in_avals[0].dtype)
    number = len(program.in_avals) - 1 - components
    return [Array("t", dtype, None), Array("y", dtype, components), Array("p", dtype, number)]
