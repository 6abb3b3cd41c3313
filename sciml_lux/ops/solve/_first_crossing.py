"""first_crossing: where on its way a solve first meets a condition."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import PyTree

from .forward._loop import SUCCESSFUL, run
from .forward._sight import Seen, Watch, first_reached
from .steps._all_stages import all_stages
from .steps._control import Adaptive, Control
from .steps._form import arrays
from .steps._given import Given, Options, Steering
from .steps._parametric import parametric_of, wide
from .steps._step import Leaves, inside
from .steps._tolerances import tolerances_of
from .tableaus._tableau import Tableau


class Crossing(NamedTuple):
    """The result of `first_crossing`; without derivatives.

    Attributes:
        found: whether a condition reached 0.
        t: when; without one, the time reached.
        which: (n,) the conditions that did.
        jumps: whether one of them is not continuous, and jumped over 0.
        signs: (n,) the sides of 0 on which the conditions were just before.
        y: the state at the last accepted step.
        num_accepted: int32, steps that were accepted.
        num_steps: int32, all steps.
        num_evaluations: int32, evaluations of the field; None where they are not counted.
        result: why it ended, as that of a solve; a success where t1 or a condition was reached.
    """

    found: jax.Array
    t: jax.Array
    which: jax.Array
    jumps: jax.Array
    signs: jax.Array
    y: PyTree
    num_accepted: jax.Array
    num_steps: jax.Array
    num_evaluations: jax.Array | None
    result: Any


def first_crossing(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree],
    t0: jax.Array,
    t1: jax.Array,
    y0: PyTree,
    args: PyTree,
    watch: Watch,
    *,
    tableau: Tableau,
    rtol: PyTree = 1e-6,
    atol: PyTree = 1e-6,
    dt0: ArrayLike | None = None,
    control: Control = Adaptive(),  # noqa: B008
    max_steps: int = 4096,
    samples: int = 0,
) -> Crossing:
    """The first time between t0 and t1 at which a condition reaches 0, by the steps of `solve`.

    The conditions are looked at `LOOKS` times in each accepted step, and the time is found on the
    interpolant of that step. Two changes of a sign between two looks are not seen.

    Args:
        field: the right-hand side.
        t0: start.
        t1: end.
        y0: the state at t0.
        args: what the field gets.
        watch: the conditions, of a time and a tree like y0.
        tableau: the method.
        rtol: relative tolerance.
        atol: absolute tolerance.
        dt0: the length of the first step, or of all fixed ones.
        control: how steps are chosen.
        max_steps: the number of steps after which it gives up.
        samples: the number of leading axes of each leaf that number samples.
    """
    t0, t1, y0, args, watch = jax.lax.stop_gradient((t0, t1, y0, args, watch))
    leaves, tree = jax.tree.flatten(y0)
    _, parametric, parameters, _ = parametric_of(field, t0, y0, args)
    start, end = wide([t0, t1])
    states = wide(leaves)
    parameters = jax.lax.stop_gradient(wide(parameters))
    given = Given(start, end, jnp.zeros(0, start.dtype), states, parameters)
    first = None if dt0 is None else jnp.abs(jax.lax.stop_gradient(dt0)).astype(start.dtype)
    tolerances = (tolerances_of("rtol", rtol, y0), tolerances_of("atol", atol, y0))
    options = Options(tableau, control, max_steps, 1, samples)

    def rounded(ys: Leaves) -> PyTree:
        return tree.unflatten([y.astype(x.dtype) for y, x in zip(ys, leaves, strict=True)])

    def conditions(t: jax.Array, ys: Leaves) -> jax.Array:
        return watch.conditions(t.astype(t0.dtype), rounded(ys)).astype(start.dtype)

    directions, signs = (jnp.asarray(x).astype(start.dtype) for x in watch[1:])
    inner = Watch(conditions, directions, signs)

    slopes = functools.partial(parametric, parameters)
    form = arrays(parametric)
    ended = run(form, options, given, Steering(*tolerances, first), False, inner)
    seen: Any = ended.seen
    (part, which, jumps), extra = _located(slopes, tableau, inner, seen)
    found = seen.found & (ended.result == SUCCESSFUL)
    stopped = jnp.where(ended.result == SUCCESSFUL, end, start + ended.s * (end - start))
    t = jnp.where(found, seen.t + part * seen.h, stopped)
    return Crossing(
        found,
        t.astype(t0.dtype),
        which & found,
        jumps & found,
        seen.signs.astype(t0.dtype),
        rounded(ended.y),
        ended.accepted,
        ended.tried.steps,
        ended.tried.evaluations + extra,
        ended.result,
    )


def _located(
    field: Callable[[jax.Array, Leaves], Leaves], tableau: Tableau, watch: Watch, seen: Seen
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], int]:
    """What `first_reached` returns, and the evaluations of the field that this took."""
    y = seen.y
    stages = all_stages(tableau, field, seen.t, seen.h, y)
    located = first_reached(watch, seen, lambda part: inside(tableau, part, seen.h, y, stages))
    return located, len(tableau.float64.p)
