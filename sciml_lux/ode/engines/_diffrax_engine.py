"""The engine that solves with diffrax."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import PyTree

from ...core import Record, Static
from ..adjoints._adjoint import Adjoint
from ..adjoints._auto import AutoAdjoint
from ..adjoints._discrete import DiscreteAdjoint
from ..adjoints._once_in_reverse import not_by_times, once_in_reverse
from ..equation._equation import Equation
from ..equation._with_cost import WithCost
from ..method._method import Method, plain
from ..method._verner import Vern7, Vern9
from ..problem._step import Step
from ..solution._final import Final
from ..solution._finite import all_finite
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution
from ._diffrax_steps import AdaptiveSteps, FixedSteps
from ._lean_engine import why_not_lean

# More save times than this are interpolated: steps onto them could be most of the steps.
_MOST_STEPPED_ONTO = 64

# States inside a step of these are as good as those at its end. Others interpolate at a lower
# order: with Kvaerno5 the error inside is hundreds of tolerances.
_INTERPOLATE_WELL = (
    diffrax.Heun,
    diffrax.Midpoint,
    diffrax.Ralston,
    diffrax.Bosh3,
    diffrax.Tsit5,
    diffrax.Dopri5,
    Vern7,
    Vern9,
)


_norm = diffrax.PIDController(rtol=1.0, atol=1.0).norm


def solve_with_diffrax(
    equation: Equation,
    method: Method,
    span: jax.Array,
    ts: jax.Array | None,
    u0: PyTree,
    first_step: Step | None = None,
) -> Attempt:
    """The states of `equation` at `ts`; a failed solve does not raise, its `result` says why.

    Args:
        equation: the equation.
        method: the options of the solve.
        span: (t0, t1), in the dtype of the clock.
        ts: (n,) the times of the states to return; None for t1 alone.
        u0: the state at t0.
        first_step: the step that it begins with, of which the errors before are not read; None for
            the `dt0` of the method.
    """
    adjoint = _adjoint(method, u0)
    if isinstance(adjoint, diffrax.RecursiveCheckpointAdjoint | diffrax.BacksolveAdjoint):
        given = (equation.field, equation.parameters, span, ts, u0)
        field, parameters, span, ts, u0 = once_in_reverse(given, type(adjoint).__name__)
        equation = equation._replace(field=field, parameters=parameters)
    if isinstance(adjoint, diffrax.BacksolveAdjoint):
        span, ts = not_by_times((span, ts), "BacksolveAdjoint")
    t0, t1 = span
    # The state at the end, or where the solve stopped; Backsolve would go through it once more.
    with_end = ts is None or not isinstance(adjoint, diffrax.BacksolveAdjoint)
    dt0 = method.dt0 if first_step is None else first_step.length
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(equation.field),
        plain(method.solver),
        t0,
        t1,
        None if dt0 is None else jnp.copysign(jnp.abs(dt0), t1 - t0).astype(span.dtype),
        u0,
        args=equation.parameters,
        saveat=diffrax.SaveAt(ts=ts, t1=with_end, dense=method.dense),
        stepsize_controller=controller_of(method, ts, isinstance(u0, WithCost)),
        adjoint=adjoint,
        max_steps=method.max_steps,
        throw=False,
    )
    t, reached = _last(jnp.asarray(found.ts), found.ys, t0, u0)
    names = ("num_steps", "num_accepted_steps", "num_rejected_steps")
    counts = {name: jnp.asarray(found.stats[name], jnp.int32) for name in names}
    unknown = {"num_field_evaluations": None, "first_step": None}
    names = {"engine": Static("diffrax"), "adjoint": Static(type(adjoint).__name__)}
    stats = Record(counts) | unknown | {"time_reached": t} | names
    final = Final(t1, jax.tree.map(lambda y: y[-1], found.ys)) if with_end else None
    ts = span[1:] if ts is None else ts
    ys = jax.tree.map(lambda y: y[: len(ts)], found.ys)
    between = Partial(_evaluated, found.interpolation, span) if method.dense else None
    result = result_of(method, found.result, reached)
    return Attempt(Solution(ts, ys, stats, result, between, final), reached)


def diffrax_adjoint(
    equation: Equation, method: Method, span: jax.Array, ts: jax.Array | None, u0: PyTree
) -> diffrax.AbstractAdjoint:
    """The adjoint that differentiates a solve; the arguments are those of `solve_with_diffrax`."""
    return _adjoint(method, u0)


def _adjoint(method: Method, u0: PyTree) -> diffrax.AbstractAdjoint:
    """That of diffrax.

    Raises:
        ValueError: the lean engine alone has it, or it would be wrong.
    """
    adjoint = plain(method.adjoint)
    if adjoint is None or isinstance(adjoint, DiscreteAdjoint | AutoAdjoint):
        return diffrax.RecursiveCheckpointAdjoint()
    if isinstance(adjoint, Adjoint):
        raise ValueError(
            f"`{type(adjoint).__name__}` expects a solve of the lean engine, got "
            f"{why_not_lean(method)}. Take diffrax.Tsit5(), or where stiff ode.Rodas5P(), with "
            "their default steps, or adjoint=ode.DiscreteAdjoint(), which all solvers have."
        )
    is_complex = any(jnp.iscomplexobj(u) for u in jax.tree.leaves(u0))
    if is_complex and isinstance(adjoint, diffrax.BacksolveAdjoint):
        raise ValueError(
            "`diffrax.BacksolveAdjoint` has wrong gradients where the state is complex. Take "
            "ode.BacksolveAdjoint() with an explicit solver, or adjoint=ode.DiscreteAdjoint()."
        )
    return adjoint


def _evaluated(interpolation: diffrax.AbstractPath, span: jax.Array, t: jax.Array) -> Any:
    """The state at t; not a number outside of the span."""
    least, most = jnp.min(span), jnp.max(span)
    room = 4 * float(jnp.finfo(span.dtype).eps) * jnp.max(jnp.abs(span))
    is_there = (least - room <= t) & (t <= most + room)
    valid = jnp.where(is_there, 1.0, jnp.nan)
    # Not `clip`, which halves the derivative at both ends.
    inside = jnp.where(t < least, least, jnp.where(t > most, most, t))
    states = interpolation.evaluate(inside)
    return jax.tree.map(lambda y: y * valid.astype(y.dtype), states)


def controller_of(
    method: Method, ts: jax.Array | None, has_cost: bool
) -> diffrax.AbstractStepSizeController:
    if not method.uses_tolerances:
        return FixedSteps() if method.has_fixed_steps else plain(method.stepsize_controller)
    norm = _norm_without_cost if has_cost else _norm
    by_error = AdaptiveSteps(rtol=method.rtol, atol=method.atol, norm=norm)
    interpolated = isinstance(plain(method.solver), _INTERPOLATE_WELL)
    if ts is None or interpolated or len(ts) > _MOST_STEPPED_ONTO:
        return by_error
    return diffrax.ClipStepSizeController(by_error, step_ts=ts)


def _norm_without_cost(error: WithCost) -> Any:
    return _norm(error.u)


def _last(ts: jax.Array, ys: PyTree, t0: jax.Array, u0: PyTree) -> tuple[jax.Array, PyTree]:
    """The last time that was saved, and its state; diffrax fills what it did not reach with inf."""
    count = jnp.sum(jnp.isfinite(ts), dtype=jnp.int32)
    saved = jax.lax.stop_gradient((ts, ys))
    first = jax.lax.stop_gradient((t0, u0))
    row = jnp.maximum(count - 1, 0)
    return jax.tree.map(lambda x, x0: jnp.where(count > 0, x[row], x0), saved, first)


def result_of(method: Method, found: diffrax.RESULTS, reached: PyTree) -> Any:
    """Why diffrax stopped; with a user's controller NaN may be a success to it."""
    implicit = isinstance(plain(method.solver), diffrax.AbstractImplicitSolver)
    result = RESULTS.promote(found)
    no_error = RESULTS.newton_failed if implicit else RESULTS.diverged
    names = (
        (RESULTS.dt_min_reached, RESULTS.step_too_short),
        (RESULTS.nonfinite, no_error),
        (RESULTS.singular, RESULTS.newton_failed),
        (RESULTS.nonlinear_divergence, RESULTS.newton_failed),
        (RESULTS.nonlinear_max_steps_reached, RESULTS.newton_failed),
    )
    lost = ~all_finite(reached) & (result == RESULTS.successful)
    for item, name in names:
        result = RESULTS.where(result == item, name, result)
    return RESULTS.where(lost, RESULTS.diverged, result)
