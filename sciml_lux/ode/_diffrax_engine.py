"""The engine that solves with diffrax."""

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..core import Record, Static
from ._equation import Equation
from ._method import Method, plain
from ._results import RESULTS
from ._solution import Solution
from ._verner import Vern7, Vern9

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
        None if method.dt0 is None else jnp.asarray(method.dt0, span.dtype),
        u0,
        args=equation.parameters,
        saveat=diffrax.SaveAt(ts=ts),
        stepsize_controller=_controller(method, ts),
        adjoint=plain(method.adjoint) or diffrax.RecursiveCheckpointAdjoint(),
        max_steps=method.max_steps,
        throw=False,
    )
    names = ("num_steps", "num_accepted_steps", "num_rejected_steps")
    counts = {name: jnp.asarray(found.stats[name], jnp.int32) for name in names}
    stats = Record(counts) | {"engine": Static("diffrax")}
    return Solution(ts, found.ys, stats, RESULTS.promote(found.result))


def _controller(method: Method, ts: jax.Array) -> diffrax.AbstractStepSizeController:
    if not method.uses_tolerances:
        return plain(method.stepsize_controller) or diffrax.ConstantStepSize()
    by_error = diffrax.PIDController(rtol=method.rtol, atol=method.atol)
    if isinstance(plain(method.solver), _INTERPOLATE_WELL) or len(ts) > _MOST_STEPPED_ONTO:
        return by_error
    return diffrax.ClipStepSizeController(by_error, step_ts=ts)
