"""The time at which a condition is 0, as a function of all that the solution depends on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops import internal as lean
from ...ops.internal import tableaus

_NUM_ITERATIONS = 3
_MOST = 2**-6
"""Of the time since the last event, by how much the root may be moved."""
NUM_EVALUATIONS = (2 * _NUM_ITERATIONS + 2) * (tableaus.VERN7.num_stages - 1)
"""Of the field, in `at_root`: a derivative counts as two."""

Field = Callable[[jax.Array, PyTree], PyTree]


def at_root(
    condition: Callable[[jax.Array, PyTree], jax.Array],
    field: Field,
    t: jax.Array,
    u: PyTree,
    bounds: tuple[jax.Array, jax.Array],
    applies: jax.Array,
) -> tuple[jax.Array, Any]:
    """The time of the root of `condition` next to `t`, and the state then; as they are unless
    `applies`.

    t* = t + δ, where δ solves condition(t + δ, Φ(δ)) = 0 and Φ(δ) is one Runge-Kutta step of order
    7 from u. As a number δ is of the size of the tolerance or 0; its derivative, and that of the
    step, are what an event adds to that of the solution. From δ = 0 each iteration of Newton's
    method, itself differentiated, doubles the order to which derivatives are right: of three they
    are to the seventh.

    Args:
        condition: a real scalar.
        field: du/dt.
        t: close to the root.
        u: the state at t.
        bounds: the last event, and the end: between these, in order of the solve, the root is.
        applies: whether there is a root.
    """
    low, high = jax.lax.stop_gradient((bounds[0] - t, bounds[1] - t))
    least, most = jnp.minimum(low, high), jnp.maximum(low, high)

    def value(delta: jax.Array) -> jax.Array:
        return condition(t + delta, _moved(field, t, delta, u))

    def iterate(delta: jax.Array, _: None) -> tuple[jax.Array, None]:
        found, slope = jax.jvp(value, (delta,), (jnp.ones_like(delta),))
        sound = applies & (slope != 0)
        following = delta - jnp.where(sound, found, 0.0) / jnp.where(sound, slope, 1.0)
        following = following + _spoiled(found, applies & (slope == 0))
        inside = jnp.clip(jax.lax.stop_gradient(following), least, most)
        return following + jax.lax.stop_gradient(inside - following), None

    delta, _ = jax.lax.scan(iterate, jnp.zeros_like(t), None, _NUM_ITERATIONS)
    # Where rounding decides, as of a ball almost at rest, the iteration may lead astray.
    still, small = jax.lax.stop_gradient(delta), _MOST * jnp.abs(low)
    closer = (jnp.abs(value(still)) <= jnp.abs(condition(t, u))) & (jnp.abs(still) <= small)
    delta = delta - jnp.where(jax.lax.stop_gradient(closer), 0.0, still)
    return t + delta, _moved(field, t, delta, u)


def _spoiled(value: jax.Array, where: jax.Array) -> jax.Array:
    """0, whose derivative is not a number `where` that of a condition is 0, which then has none."""
    root = jnp.sqrt(jnp.where(where, 0 * value, 1.0))
    return root - jax.lax.stop_gradient(root)


def _moved(field: Field, t: jax.Array, delta: jax.Array, u: PyTree) -> Any:
    """The state at t + delta."""
    leaves, tree = jax.tree.flatten(u)

    def slopes(t: jax.Array, leaves: list[jax.Array]) -> list[jax.Array]:
        return jax.tree.leaves(field(t, tree.unflatten(leaves)))

    return tree.unflatten(lean.end_of_step(slopes, tableaus.VERN7, t, delta, leaves, False))
