"""What a failed solve says, and to whom: an error where there are values, NaN under `jit`."""

import functools
from typing import Any

import diffrax
import jax
import numpy as np
from jax.core import Tracer

from ..core import Parameters, Record, States, layer_name
from ._failure import Failure
from ._method import plain
from ._results import RESULTS
from ._solution import Solution
from ._stiffness import is_stiff

_SENTENCES = {
    "state_not_finite": "{name}: the initial state is not finite.",
    "field_not_finite": "{name}: the vector field is not finite at t0={t0}. Look at the parameters "
    "and the initial state.",
    "field_turned_nan": "{name}: the vector field is not finite beyond t={t}, where the largest "
    "|u| is {size}. Look for a step out of its domain, such as a negative number under a root.",
    "diverged": "{name}: the solution grows without bound, or leaves the finite numbers, at t={t}, "
    "where the largest |u| is {size}. Solve to an earlier time, or look at the parameters.",
    "no_step_accepted": "{name}: the solver {solver} took no step from t0={t0}: {rejected} were "
    "tried, and none was accepted. Pass a first step `dt0` of the length of the fastest change at "
    "t0, or loosen {tolerances}.",
    "step_too_short": "{name}: no step from t={t}, however short, met {tolerances}. Loosen them, "
    "or look for a jump in the vector field there.",
    "newton_failed": "{name}: the implicit equations of {solver} could not be solved at t={t}, "
    "where the largest |u| is {size}. Shorten `dt0`, loosen {tolerances}, or look for a kink in "
    "the vector field.",
    "max_steps_reached": "{name} took max_steps={max_steps} steps and did not reach t1={t1}: it is "
    "at t={t}, after {accepted} accepted and {rejected} rejected steps.",
}


def raising(
    layer: Any, solution: Solution, failure: Failure, ps: Parameters, st: States
) -> Solution:
    """`solution`; an error if the solve failed, as far as `throw` of `layer` asks for one.

    Args:
        layer: what was solved; messages quote its options.
        solution: what was found.
        failure: whether it is of no use.
        ps: the parameters of `layer`.
        st: its states.

    Raises:
        RuntimeError: the solve failed; under `jit`, with `throw="callback"`, at run time.
    """
    if isinstance(failure.failed, Tracer):
        if layer.throw == "callback":
            _call_back(layer, solution, failure)
    elif layer.throw and failure.failed:
        hint = ""
        if bool(solution.result == RESULTS.max_steps_reached):
            hint = _hint(layer, solution.stats, failure.reached, ps, st)
        raise RuntimeError(_message(layer, solution, failure.reached) + hint)
    return solution


def _call_back(layer: Any, solution: Solution, failure: Failure) -> None:
    def look(failed: Any, result: Any, stats: Any, reached: Any) -> None:
        if failed:
            found = solution._replace(result=result, stats=stats)
            raise RuntimeError(_message(layer, found, reached))

    given = (failure.failed, solution.result, solution.stats, failure.reached)
    jax.lax.cond(failure.failed, lambda: jax.debug.callback(look, *given), lambda: None)


def _message(layer: Any, solution: Solution, reached: Any) -> str:
    stats, causes = solution.stats, [getattr(RESULTS, name) for name in _SENTENCES]
    facts = {
        "name": f"`{layer_name(layer)}`",
        "solver": type(plain(layer.solver)).__name__,
        "t0": layer.tspan[0],
        "t1": layer.tspan[1],
        "t": f"{float(stats.time_reached):.8g}",
        "size": f"{_largest(reached):.3g}",
        "tolerances": f"rtol={layer.rtol} and atol={layer.atol}",
        "max_steps": layer.max_steps,
        "accepted": int(stats.num_accepted_steps),
        "rejected": int(stats.num_rejected_steps),
    }
    for cause, sentence in zip(causes, _SENTENCES.values(), strict=True):
        if bool(solution.result == cause):
            return sentence.format(**facts)
    other = "{name}: the solver {solver} failed at t={t}: ".format(**facts)
    return other + str(RESULTS[solution.result])


def _hint(layer: Any, stats: Record, reached: Any, ps: Parameters, st: States) -> str:
    if layer.method.has_fixed_steps:
        return " Raise `max_steps`, or lengthen `dt0`."
    if isinstance(plain(layer.solver), diffrax.AbstractImplicitSolver):
        return " Raise `max_steps`, or loosen `rtol` and `atol`."
    step = abs(float(stats.time_reached) - layer.tspan[0]) / max(int(stats.num_accepted_steps), 1)
    # Without the tracers of an eager `jax.grad`.
    field = functools.partial(
        layer.vector_field(*jax.lax.stop_gradient((ps, st))), stats.time_reached
    )
    if is_stiff(field, reached, step):
        return (
            f" The problem is stiff there: the length of its steps, {step:.2g}, is limited by "
            "stability. Take an implicit solver, such as diffrax.Kvaerno5()."
        )
    return " Raise `max_steps`, loosen `rtol` and `atol`, or shorten `tspan`."


def _largest(reached: Any) -> float:
    return max(float(np.max(np.abs(leaf), initial=0)) for leaf in jax.tree.leaves(reached))
