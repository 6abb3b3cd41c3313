"""The engine that solves with diffrax."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import PyTree

from ..core import Record, Static
from ._equation import Equation
from ._method import Method, plain
from ._results import RESULTS
from ._solution import Solution


def solve_with_diffrax(
    equation: Equation, method: Method, span: jax.Array, ts: jax.Array | None, u0: PyTree
) -> Solution:
    """The states of `equation` at `ts`; a failed solve does not raise, its `result` says why.

    Args:
        equation: the equation.
        method: the options of the solve.
        span: (t0, t1), in the dtype of the clock.
        ts: (n,) the times of the states to return; None for t1 alone.
        u0: the state at t0.
    """
    t0, t1 = span
    ts = span[1:] if ts is None else ts
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(equation.field),
        plain(method.solver),
        t0,
        t1,
        None if method.dt0 is None else jnp.copysign(abs(method.dt0), t1 - t0).astype(span.dtype),
        u0,
        args=equation.parameters,
        saveat=diffrax.SaveAt(ts=ts, dense=method.dense),
        stepsize_controller=_controller(method),
        adjoint=plain(method.adjoint) or diffrax.RecursiveCheckpointAdjoint(),
        max_steps=method.max_steps,
        throw=False,
    )
    names = ("num_steps", "num_accepted_steps", "num_rejected_steps")
    counts = {name: jnp.asarray(found.stats[name], jnp.int32) for name in names}
    stats = Record(counts) | {"engine": Static("diffrax")}
    between = Partial(_evaluated, found.interpolation, span) if method.dense else None
    return Solution(ts, found.ys, stats, RESULTS.promote(found.result), between)


def _evaluated(interpolation: Any, span: jax.Array, t: jax.Array) -> Any:
    """The state at t; not a number outside of the span."""
    least, most = jnp.min(span), jnp.max(span)
    room = 4 * float(jnp.finfo(span.dtype).eps) * jnp.max(jnp.abs(span))
    is_there = (least - room <= t) & (t <= most + room)
    valid = jnp.where(is_there, 1.0, jnp.nan)
    states = interpolation.evaluate(jnp.clip(t, least, most))
    return jax.tree.map(lambda y: y * valid.astype(y.dtype), states)


def _controller(method: Method) -> diffrax.AbstractStepSizeController:
    if method.uses_tolerances:
        return diffrax.PIDController(rtol=method.rtol, atol=method.atol)
    return plain(method.stepsize_controller) or diffrax.ConstantStepSize()
