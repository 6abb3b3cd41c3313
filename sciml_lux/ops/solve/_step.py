"""One step of an explicit Runge-Kutta method, and the solution inside it; leaf by leaf."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...precision import accumulating
from ._interpolation_weights import interpolation_weights
from ._tableau import Tableau

Leaves = list[jax.Array]
Field = Callable[[jax.Array, Leaves], Leaves]
"""du/dt of the leaves of a state, at a time."""


class Step(NamedTuple):
    """A step of length h from y at t.

    Attributes:
        y1: the state at its end.
        stages: du/dt at each stage, one list of leaves each.
    """

    y1: Leaves
    stages: list[Leaves]


def step(
    field: Field, tableau: Tableau, t: jax.Array, h: jax.Array, y: Leaves, first: Leaves
) -> Step:
    """The step, without the stage at its end that is the first stage of the next.

    Args:
        field: what is solved.
        tableau: the method.
        t: the time at the start.
        h: the length.
        y: the state at the start.
        first: field(t, y).
    """
    arrays = tableau.float64
    count = tableau.num_stages - int(tableau.fsal)
    stages = [first]
    for a, c in zip(arrays.a[1:count], arrays.c[1:count], strict=True):
        stages.append(field(t + h * float(c), advanced(y, h, a, stages)))
    return Step(advanced(y, h, arrays.b, stages), stages)


def end_of_step(field: Field, tableau: Tableau, t: jax.Array, h: jax.Array, y: Leaves) -> Leaves:
    """The state at the end of the step from `y`, its stages one after the other in a loop.

    For a step that is seldom taken: the field is in the program once, not once for each stage.
    """
    arrays = tableau.float64
    count = tableau.num_stages - int(tableau.fsal)
    table = (jnp.asarray(arrays.a[:count, :count], t.dtype), jnp.asarray(arrays.c[:count], t.dtype))

    def stage(stages: Leaves, line: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[Leaves, None]:
        i, a, c = line
        found = field(t + h * c, advanced(y, h, a, _listed(stages, count)))
        put = jax.lax.dynamic_update_index_in_dim
        return [put(all_, k, i, 0) for all_, k in zip(stages, found, strict=True)], None

    stages = [jnp.zeros((count, *leaf.shape), leaf.dtype) for leaf in y]
    stages, _ = jax.lax.scan(stage, stages, (jnp.arange(count, dtype=jnp.int32), *table))
    return advanced(y, h, arrays.b[:count], _listed(stages, count))


def _listed(stages: Leaves, count: int) -> list[Leaves]:
    return [[leaf[i] for leaf in stages] for i in range(count)]


def last_stage(
    field: Field, tableau: Tableau, t: jax.Array, h: jax.Array, found: Step
) -> list[Leaves]:
    """All stages of a step, with the one at its end."""
    return [*found.stages, field(t + h, found.y1)] if tableau.fsal else found.stages


def extra_stages(
    field: Field, tableau: Tableau, t: jax.Array, h: jax.Array, y: Leaves, stages: list[Leaves]
) -> list[Leaves]:
    """The stages that only the solution inside the step needs."""
    arrays, found = tableau.float64, list(stages)
    for a, c in zip(arrays.extra_a, arrays.extra_c, strict=True):
        found.append(field(t + h * float(c), advanced(y, h, a, found)))
    return found[len(stages) :]


def inside(
    tableau: Tableau, fraction: jax.Array, h: jax.Array, y: Leaves, stages: list[Leaves]
) -> Leaves:
    """The solution at t + fraction * h, from all stages, extra ones included."""
    weights = interpolation_weights(tableau.float64.chebyshev, fraction)
    return advanced(y, h, weights, stages)


def advanced(
    y: Leaves, h: jax.Array, weights: np.ndarray | jax.Array, stages: Sequence[Leaves]
) -> Leaves:
    """y + h Σ weightsᵢ stagesᵢ."""
    moves = weighted(h, weights, stages)
    return [accumulating(jnp.add, *pair) for pair in zip(y, moves, strict=True)]


def weighted(h: jax.Array, weights: np.ndarray | jax.Array, stages: Sequence[Leaves]) -> Leaves:
    """h Σ weightsᵢ stagesᵢ, over the stages that are given."""
    numbers = weights.tolist() if isinstance(weights, np.ndarray) else list(weights)
    used = [(w, k) for w, k in zip(numbers, stages, strict=False) if not _is_zero(w)]

    def leaf(*ks: jax.Array) -> jax.Array:
        dtype = ks[0].dtype
        scale = [w if isinstance(w, float) else w.astype(dtype) for w, _ in used]
        terms = [w * k for w, k in zip(scale, ks, strict=True)]
        return h.astype(dtype) * sum(terms[1:], terms[0])

    return [accumulating(leaf, *ks) for ks in zip(*(k for _, k in used), strict=True)]


def _is_zero(weight: float | jax.Array) -> bool:
    return isinstance(weight, float) and weight == 0
