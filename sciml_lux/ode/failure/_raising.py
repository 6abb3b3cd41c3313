"""What a failed solve says, and to whom: an error where there are values, NaN under `jit`."""

import functools
from typing import Any, NamedTuple

import diffrax
import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ...core import Parameters, layer_name
from ..equation._solvable import Solvable
from ..method._method import plain
from ..method._rosenbrock import Rodas5P
from ..problem._interpolated import signals_of_sample
from ..problem._problem_times import Times
from ..solution._results import RESULTS
from ..solution._solution import Solution
from ._failure import Failure
from ._stiffness import is_stiff

_SENTENCES = {
    "state_not_finite": "{name}: the initial state is not finite.",
    "field_not_finite": "{name}: {field} is not finite at t0={t0}. Look at the parameters "
    "and the initial state.",
    "field_turned_nan": "{name}: {field} is not finite beyond t={t}, where the largest "
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
    "times_out_of_order": "{name} expects times that are finite and in order from t0 to t1, with "
    "`ts` between. Sort them.",
    "first_step_not_positive": "{name} expects a `first_step` that is finite and above 0. Leave it "
    "out and the solve chooses it.",
    "max_events_reached": "{name}: more than max_events={max_events} events happened before "
    "t1={t1}: it is at t={t}. Raise `max_events`, or end the solve by an `ode.Event` without "
    "`affect`.",
    "events_accumulate": "{name}: an event happened twice at t={t}, closer together than the clock "
    "can tell apart, as the bounces of a ball that comes to rest. End the solve before, by an "
    "`ode.Event` without `affect`, or let `affect` move the state off the condition.",
    "condition_jumps": "{name}: the condition of an event jumps over 0 at t={t}. Make it "
    "continuous there, or let only the other `direction` count.",
    "preset_time_not_a_number": "{name}: a preset time is not a number. Look at where the `ts` of "
    "`PresetTimes` come from; one that shall not happen may be infinite.",
    "inconsistent_start": "{name}: the initial state does not fulfil the algebraic equations, in "
    "which `mass_matrix` has 0, to {tolerances}, or they are not of index 1. Solve them for u0 "
    "before, or loosen the tolerances.",
    "not_steady": "{name}: the state at t1={t1} is not near a root of {field}, as "
    "`SteadyStateAdjoint` expects. Solve to a later time, or take another `adjoint`.",
    "max_steps_reached": "{name} took max_steps={max_steps} steps and did not reach t1={t1}: it is "
    "at t={t}, after {accepted} accepted and {rejected} rejected steps.",
}


def raising(
    layer: Solvable, times: Times, solution: Solution, failure: Failure, trees: tuple[Any, ...]
) -> Solution:
    """`solution`; an error if the solve failed, as far as `throw` asks for one.

    Args:
        layer: what was solved; messages quote its options.
        times: when.
        solution: the solution.
        failure: whether it failed.
        trees: what the vector field is of.

    Raises:
        RuntimeError: the solve failed; under `jit`, with `throw="callback"`, at run time.
    """
    if isinstance(failure.failed, Tracer):
        if layer.method.throw == "callback":
            _call_back(layer, _Facts.of(times, solution, failure))
    elif layer.method.throw and np.any(failure.failed):
        facts = _Facts.of(times, solution, failure).first()
        ps, st, *inputs = trees
        ps = _of_sample(layer, ps, facts.sample)
        of_sample = [signals_of_sample(signals, facts.sample) for signals in inputs]
        raise RuntimeError(_message(layer, facts) + _hint(layer, facts, (ps, st, *of_sample)))
    return solution


def _of_sample(layer: Solvable, ps: Parameters, sample: int | None) -> Any:
    """The parameters of one sample."""
    if layer.parameters_axes is None or sample is None:
        return ps
    leaves, tree = jax.tree.flatten(ps)
    pairs = zip(leaves, layer.parameters_axes, strict=True)
    return tree.unflatten([x if axis is None else x[sample] for x, axis in pairs])


class _Facts(NamedTuple):
    """Of a solve, or of each of several samples, what a message tells.

    Attributes:
        failed: whether it failed.
        result: why.
        t0: the start.
        t1: the end.
        stats: those of the solution.
        reached: the state at the time reached.
        sample: which of the samples it is; None where there is one solve.
    """

    failed: Any
    result: Any
    t0: Any
    t1: Any
    stats: Any
    reached: Any
    sample: int | None = None

    @classmethod
    def of(cls, times: Times, solution: Solution, failure: Failure) -> "_Facts":
        """The facts of a solution."""
        found = (solution.result, times.t0, times.t1, solution.stats, failure.reached)
        return cls(failure.failed, *found)

    def first(self) -> "_Facts":
        """Those of the first sample that failed."""
        if not np.ndim(self.failed):
            return self
        sample = int(np.argmax(self.failed))
        return jax.tree.map(lambda x: x[sample], self)._replace(sample=sample)


def _call_back(layer: Solvable, facts: _Facts) -> None:
    def look(facts: _Facts) -> None:
        if np.any(facts.failed):
            raise RuntimeError(_message(layer, facts.first()))

    failed = jax.numpy.any(facts.failed)
    jax.lax.cond(failed, lambda: jax.debug.callback(look, facts), lambda: None)


def _message(layer: Solvable, found: _Facts) -> str:
    stats, method = found.stats, layer.method
    sample = "" if found.sample is None else f" (sample {found.sample})"
    controller = plain(method.stepsize_controller)
    tolerances = controller if hasattr(controller, "rtol") else method
    cost = "" if layer.running_cost is None else " or the running cost"
    facts = {
        "field": f"the vector field{cost}",
        "name": f"`{layer_name(layer)}`{sample}",
        "solver": type(plain(method.solver)).__name__,
        "t0": float(found.t0),
        "t1": float(found.t1),
        "t": f"{float(stats.time_reached):.8g}",
        "size": f"{_largest(found.reached):.3g}",
        "tolerances": f"rtol={tolerances.rtol} and atol={tolerances.atol}",
        "max_steps": method.max_steps,
        "max_events": layer.max_events,
        "accepted": int(stats.num_accepted_steps),
        "rejected": int(stats.num_rejected_steps),
    }
    for name, sentence in _SENTENCES.items():
        if bool(found.result == getattr(RESULTS, name)):
            return sentence.format(**facts)
    other = "{name}: the solver {solver} failed at t={t}: ".format(**facts)
    return other + str(RESULTS[found.result])


def _hint(layer: Solvable, facts: _Facts, trees: tuple[Any, ...]) -> str:
    if not bool(facts.result == RESULTS.max_steps_reached):
        return ""
    stats, reached = facts.stats, facts.reached
    if layer.method.has_fixed_steps:
        return " Raise `max_steps`, or lengthen `dt0`."
    if isinstance(plain(layer.method.solver), diffrax.AbstractImplicitSolver | Rodas5P):
        return " Raise `max_steps`, or loosen `rtol` and `atol`."
    step = abs(float(stats.time_reached - facts.t0)) / max(int(stats.num_accepted_steps), 1)
    # Without the tracers of an eager `jax.grad`.
    field = functools.partial(layer.vector_field(*jax.lax.stop_gradient(trees)), stats.time_reached)
    if is_stiff(field, reached, step):
        return (
            f" The problem is stiff there: the length of its steps, {step:.2g}, is limited by "
            "stability. Take an implicit solver, such as ode.Rodas5P()."
        )
    return " Raise `max_steps`, loosen `rtol` and `atol`, or shorten `tspan`."


def _largest(reached: PyTree) -> float:
    return max(float(np.max(np.abs(leaf), initial=0)) for leaf in jax.tree.leaves(reached))
