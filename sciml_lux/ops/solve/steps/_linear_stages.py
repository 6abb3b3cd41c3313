"""The stages of a step of a Rosenbrock method."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tableaus._rosenbrock import Rosenbrock
from ._linear_system import product, solver_of
from ._mass import Weighed
from ._step import Field, Leaves
from ._vector import Vector


def linear_stages(
    tableau: Rosenbrock, field: Field, t: jax.Array, h: jax.Array, y: Leaves
) -> Leaves:
    """All stages of the step from y at t over h, a row for each, one after the other."""
    vector, linear = Vector(y), tableau.linear
    start, step = vector.joined(y), h.astype(vector.dtype)
    mass, weighed = jnp.eye(vector.size, dtype=vector.dtype), lambda k: k
    if isinstance(field, Weighed):
        mass, weighed = field.mass, functools.partial(product, field.mass)
        # Where M is singular, a step of no length would have no stages.
        step = jnp.where(step == 0, float(jnp.finfo(step.dtype).eps), step)

    def slope(t: jax.Array, state: jax.Array) -> jax.Array:
        return vector.joined(field(t, vector.leaves(state)))

    value, by_time, jacobian = _linearised(slope, t, start)

    def multiplied(k: jax.Array) -> jax.Array:
        return weighed(k) / linear.gamma - step * product(jacobian, k)

    solve = solver_of(mass / linear.gamma - step * jacobian, multiplied)
    stages: list[jax.Array] = []
    for i, (a, c) in enumerate(zip(tableau.float64.a, tableau.float64.c, strict=True)):
        if i > 0:
            value = slope(t + float(c) * h, start + step * _sum(a, stages))
            value = value + weighed(_sum(linear.coupling[i], stages))
        stages.append(solve(value + float(linear.d[i]) * step * by_time))
    return vector.leaves(jnp.stack(stages))


def _linearised(
    slope: Callable[[jax.Array, jax.Array], jax.Array], t: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """du/dt, its derivative by time, and that by the state."""
    count = y.size
    times = jnp.eye(count + 1, 1, dtype=t.dtype)[:, 0]
    states = jnp.eye(count + 1, count, -1, dtype=y.dtype)

    def moved(dt: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(slope, (t, y), (dt, dy))

    value, columns = jax.vmap(moved, out_axes=(None, -1))(times, states)
    return value, columns[:, 0], columns[:, 1:]


def _sum(weights: np.ndarray, stages: list[jax.Array]) -> Any:
    """Σ weightsᵢ stagesᵢ, over the stages that there are."""
    return sum(float(w) * k for w, k in zip(weights, stages, strict=False) if w)
