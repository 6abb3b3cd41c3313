"""A failed solve: why it failed; it has neither states nor a gradient."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import PyTree

from ...core import Parameters, Record
from ...ops.internal import any_in_batch
from ...precision.internal import floating_leaves
from ..equation._equation import Equation
from ..method._method import Method
from ..solution._finite import all_finite
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution

_NUM_LOOKS = 3

Field = Callable[[jax.Array, PyTree, PyTree], PyTree]


class Failure(NamedTuple):
    """What there is to say of a failed solve beside its `Solution`.

    Attributes:
        failed: whether it failed.
        reached: the state at the time reached.
    """

    failed: jax.Array
    reached: Any


class _Look(NamedTuple):
    """What a look at the field tells.

    Attributes:
        finite: whether du/dt is finite.
        large: whether the square of the state overflows.
        grows: whether the state grows by a thousandth or more in a few roundings of the time.
    """

    finite: jax.Array
    large: jax.Array
    grows: jax.Array


def with_failure(
    equation: Equation,
    method: Method,
    span: jax.Array,
    u0: PyTree,
    ps: Parameters,
    attempt: Attempt,
) -> tuple[Solution, Failure]:
    """The solution; where the solve failed its result is the cause, and its states are NaN.

    Args:
        equation: what was solved.
        method: how.
        span: (t0, t1).
        u0: the initial state.
        ps: the parameters.
        attempt: what the engine found.
    """
    solution, reached = attempt
    failed = ~all_finite(u0) | (solution.result != RESULTS.successful)
    given = (equation.field, equation.parameters, span, u0)
    field, parameters, ends, start = (jax.tree.map(_still, tree) for tree in given)
    # The field is looked at only after a failure, also where a batch of solves is one program.
    result = jax.lax.cond(
        any_in_batch(failed),
        lambda: _cause(field, parameters, ends, start, method, attempt),
        lambda: solution.result,
    )
    events = solution.events
    happened = None if events is None else (events.times, events.before, events.after)
    found = (solution.ys, solution.final, solution.estimates, happened)
    found = jax.tree.map(lambda y: jnp.where(failed, jnp.nan, y), found)
    found = _without_gradient(found, floating_leaves((u0, ps))[0], failed)
    ys, final, estimates, happened = found
    if events is not None:
        times, before, after = happened
        events = events._replace(times=times, before=before, after=after)
    stats = _with_looks(solution.stats, failed)
    solution = solution._replace(
        ys=ys, final=final, stats=stats, result=result, estimates=estimates, events=events
    )
    return solution, Failure(failed, reached)


def _still(x: jax.Array) -> jax.Array:
    """`x` without derivatives. A constant has none, and is told where it is used, not here."""
    return jax.lax.stop_gradient(x) if isinstance(x, Tracer) else x


def _with_looks(stats: Record, failed: jax.Array) -> Record:
    """`stats`, with the evaluations of the looks at the field."""
    count = stats.num_field_evaluations
    if count is None:
        return stats
    return stats | {"num_field_evaluations": count + jnp.where(failed, _NUM_LOOKS, 0)}


def _cause(
    field: Field,
    parameters: PyTree,
    span: jax.Array,
    u0: PyTree,
    method: Method,
    attempt: Attempt,
) -> Any:
    """Why the solve failed, from what its engine says, and the field where it began and ended."""
    solution, reached = attempt
    stats, result = solution.stats, solution.result
    t = stats.time_reached
    at_start, here, beyond = _looks(field, parameters, span, (t, reached), u0, method)
    nothing = (stats.num_accepted_steps == 0) & (not method.has_fixed_steps)
    stuck = (result == RESULTS.step_too_short) | (result == RESULTS.newton_failed)
    out_of_domain = (~here.finite | ~beyond.finite) & all_finite(reached)
    for applies, cause in (
        (nothing & (result != RESULTS.inconsistent_start), RESULTS.no_step_accepted),
        (stuck & here.grows, RESULTS.diverged),
        (out_of_domain & here.large, RESULTS.diverged),
        (out_of_domain & ~here.large, RESULTS.field_turned_nan),
        (~at_start.finite, RESULTS.field_not_finite),
        (~all_finite(u0), RESULTS.state_not_finite),
    ):
        failed = ~all_finite(u0) | (result != RESULTS.successful)
        result = RESULTS.where(applies & failed, cause, result)
    return result


def _looks(
    field: Field,
    parameters: PyTree,
    span: jax.Array,
    end: tuple[jax.Array, PyTree],
    u0: PyTree,
    method: Method,
) -> list[_Look]:
    """Looks at the field where the solve began, where it ended, and a short step beyond."""
    (t0, t1), (t, reached) = span, end
    largest, direction = jnp.max(jnp.abs(span)), jnp.sign(t1 - t0)
    roundings = 16 * float(jnp.finfo(span.dtype).eps) * largest * direction
    fixed = abs(method.dt0 or 0.0) * direction
    beyond = t + (fixed if method.has_fixed_steps else roundings)

    def look(slope: PyTree, place: tuple[jax.Array, PyTree, jax.Array]) -> tuple[Any, _Look]:
        t, u, h = place
        u = jax.tree.map(lambda u, du: u + h.astype(u.dtype) * du, u, slope)
        slope = field(t, u, parameters)
        return slope, _Look(all_finite(slope), _is_large(u), _grows(u, slope, roundings))

    # A scan, so that the field is compiled once more, not three times.
    states = jax.tree.map(lambda *us: jnp.stack(us), u0, reached, reached)
    steps = jnp.stack([jnp.zeros_like(t0), jnp.zeros_like(t0), beyond - t])
    nothing = jax.tree.map(jnp.zeros_like, u0)
    _, found = jax.lax.scan(look, nothing, (jnp.stack([t0, t, beyond]), states, steps))
    return [jax.tree.map(lambda x, i=i: x[i], found) for i in range(_NUM_LOOKS)]


def _is_large(u: PyTree) -> jax.Array:
    return ~all_finite(jax.tree.map(lambda leaf: jnp.square(jnp.abs(leaf)), u))


def _grows(u: PyTree, slope: PyTree, roundings: jax.Array) -> jax.Array:
    later = jax.tree.map(lambda u, du: u + roundings.astype(u.dtype) * du, u, slope)
    return _largest(later) > 1.001 * _largest(u)


def _largest(u: PyTree) -> jax.Array:
    return jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in jax.tree.leaves(u)]).max()


@jax.custom_jvp
def _without_gradient(ys: PyTree, inputs: list[jax.Array], failed: jax.Array) -> Any:
    """`ys`, with a derivative of NaN with respect to all `inputs` where `failed`.

    The states at times that were not reached do not depend on anything: without this, the
    derivative of a solve that stopped half way could be zero.
    """
    return ys


@_without_gradient.defjvp
def _(primals: PyTree, tangents: PyTree) -> Any:
    ys, _, failed = primals
    # Only products and sums: this must be linear in the tangents, to be transposed.
    spoil = jnp.where(failed, jnp.nan, 0.0)

    def spoiled(tangent: jax.Array) -> jax.Array:
        factor = spoil.astype(tangent.dtype)
        tangents_in = [_as(tangent.dtype, jnp.sum(t)) for t in tangents[1]]
        return tangent + factor * (tangent + sum(tangents_in))

    return ys, jax.tree.map(spoiled, tangents[0])


def _as(dtype: jnp.dtype, value: jax.Array) -> jax.Array:
    """`value` in `dtype`; of a complex one, in a real dtype, the sum of both parts."""
    if jnp.iscomplexobj(value) and not jnp.issubdtype(dtype, jnp.complexfloating):
        value = value.real + value.imag
    return value.astype(dtype)
