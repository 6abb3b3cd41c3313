"""Our own engine: Runge-Kutta and Rosenbrock methods, with derivatives of any order."""

import functools
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import Record, Static
from ...core.internal import is_number, subject
from ...ops import internal as lean
from ...ops.internal import tableaus
from ..adjoints._adjoint import Adjoint
from ..adjoints._backsolve import BacksolveAdjoint
from ..adjoints._discrete import DiscreteAdjoint
from ..adjoints._given import Given, Setup
from ..adjoints._reversible import ReversibleAdjoint
from ..adjoints._steady_state import NOT_STEADY
from ..equation._equation import Equation
from ..equation._with_cost import WithCost, state_of
from ..method._method import Method, plain
from ..method._rosenbrock import Rodas5P
from ..method._verner import Vern7, Vern9
from ..problem._step import Step
from ..solution._final import Final
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution

_METHODS = {
    diffrax.Euler: tableaus.EULER,
    diffrax.Heun: tableaus.HEUN,
    diffrax.Midpoint: tableaus.MIDPOINT,
    diffrax.Ralston: tableaus.RALSTON,
    diffrax.Bosh3: tableaus.BOSH3,
    diffrax.Tsit5: tableaus.TSIT5,
    diffrax.Dopri5: tableaus.DOPRI5,
    Vern7: tableaus.VERN7,
    Vern9: tableaus.VERN9,
    Rodas5P: tableaus.RODAS5P,
}

_RESULTS = {
    lean.MAX_STEPS: RESULTS.max_steps_reached,
    lean.STATE_NOT_FINITE: RESULTS.state_not_finite,
    lean.FIELD_NOT_FINITE: RESULTS.field_not_finite,
    lean.DIVERGED: RESULTS.diverged,
    lean.NO_STEP: RESULTS.step_too_short,
    lean.INCONSISTENT: RESULTS.inconsistent_start,
    NOT_STEADY: RESULTS.not_steady,
}


_PLAIN = diffrax.PIDController(rtol=1e-3, atol=1e-3)


@functools.cache
def _tableau(solver: type) -> lean.Tableau:
    """The coefficients, by which states inside a step are as accurate as at its end."""
    return lean.with_fine_interpolant(_METHODS[solver])


def why_not_lean(method: Method) -> str | None:
    """The option of `method` that the lean engine does not have; None where it has all."""
    solver, controller = plain(method.solver), plain(method.stepsize_controller)
    if type(solver) not in _METHODS or solver != type(solver)():
        return f"solver={solver!r}"
    if _control(method) is None:
        return f"stepsize_controller={type(controller).__name__}"
    if not isinstance(plain(method.adjoint), Adjoint | None):
        return f"adjoint={type(plain(method.adjoint)).__name__}"
    return None


def check_estimates(name: str, method: Method) -> None:
    """Raise if estimates are asked for of an engine or a solver without them.

    Raises:
        ValueError: names the option that stands in the way.
    """
    other = why_not_lean(method)
    if other is None and _METHODS[type(plain(method.solver))].b_error is None:
        other = f"solver={plain(method.solver)!r}"
    if method.estimates and other is not None:
        raise ValueError(
            f"`{name}` expects estimates=True with a solver of the lean engine that estimates its "
            f"error, got {other}. Take diffrax.Tsit5() and the default `adjoint`, or leave out "
            "`estimates`."
        )


def _check_adjoint(adjoint: Adjoint, method: Method, given: Given, has_cost: bool) -> None:
    """Raise if the adjoint does not have what the solve asks for.

    Raises:
        ValueError: names the adjoint, what it does not have, and the adjoint that does.
    """
    missing = adjoint.why_not(given, has_cost)
    if not isinstance(adjoint, DiscreteAdjoint):
        if isinstance(adjoint, BacksolveAdjoint | ReversibleAdjoint) and _is_rosenbrock(method):
            missing = f"solver={plain(method.solver)!r}: going back, a stiff state is unstable"
        asked = [f"`{name}=True`" for name in ("dense", "estimates") if getattr(method, name)]
        missing = asked[0] if asked else missing
    if missing is not None:
        raise ValueError(
            f"`{type(adjoint).__name__}` does not differentiate a solve with {missing}. Leave that "
            "out, or take ode.DiscreteAdjoint(), which has all."
        )


def check_mass_engine(layer: Any, mass: jax.Array | None) -> None:
    """Raise if there is a mass matrix, and the layer has an option with which there cannot be one.

    Raises:
        ValueError: names the option.
    """
    if mass is None:
        return
    method = layer.method
    other = why_not_lean(method)
    if other is None and not _is_rosenbrock(method):
        other = f"solver={plain(method.solver)!r}"
    if other is None and method.estimates:
        other = "estimates=True"
    if other is None and layer.running_cost is not None:
        other = "a running cost"
    if other is None and layer.events:
        other = "events"
    if other is not None:
        raise ValueError(
            f"{subject(layer)} expects solver=ode.Rodas5P() with its default steps, and neither "
            f"estimates, running cost nor events, for a problem with a `mass_matrix`, got {other}."
        )


def _check_adjoint_of_mass(adjoint: Adjoint, mass: jax.Array | None) -> None:
    """Raise if the adjoint is of du/dt = f, and there is a mass matrix.

    Raises:
        ValueError: names the adjoint, and the one to take.
    """
    if mass is not None and not isinstance(adjoint, DiscreteAdjoint):
        raise ValueError(
            f"`{type(adjoint).__name__}` does not differentiate a solve with a `mass_matrix`. Take "
            "ode.DiscreteAdjoint()."
        )


def _is_rosenbrock(method: Method) -> bool:
    return isinstance(_METHODS[type(plain(method.solver))], lean.Rosenbrock)


def _control(method: Method) -> lean.Control | None:
    """How steps are chosen; None for a controller that the lean engine does not have."""
    controller = plain(method.stepsize_controller)
    if controller is None:
        return lean.Adaptive() if method.uses_tolerances else lean.Fixed()
    if isinstance(controller, diffrax.ConstantStepSize):
        return lean.Fixed()
    c = controller
    if type(c) is not diffrax.PIDController:
        return None
    other = (c.norm != _PLAIN.norm, c.dtmin, c.dtmax, c.error_order, not c.force_dtmin)
    if any(option is not None and option is not False for option in other):
        return None
    numbers = (c.pcoeff, c.icoeff, c.dcoeff, c.safety, c.factormin, c.factormax)
    if not all(is_number(number) for number in numbers):
        return None
    return lean.Adaptive(*map(float, numbers))  # pyright: ignore[reportArgumentType]


def solve_lean(
    equation: Equation,
    method: Method,
    span: jax.Array,
    ts: jax.Array | None,
    u0: PyTree,
    first_step: Step | None = None,
    is_member: bool = False,
) -> Attempt:
    """The states of `equation` at `ts`; a failed solve does not raise: its `result` says why.

    Args:
        equation: what is solved.
        method: how it is solved; `why_not_lean(method)` is None.
        span: (t0, t1), in the dtype of the clock.
        ts: (n,) the times at which the states are wanted; None for t1 alone.
        u0: the state at t0.
        first_step: the step that it begins with; None for the `dt0` of the method.
        is_member: whether it is one of an ensemble.
    """
    setup, given, adjoint = _prepared(equation, method, span, ts, u0, first_step)
    if isinstance(adjoint, DiscreteAdjoint):
        found = setup.solve(
            given,
            dense=method.dense,
            estimates=method.estimates,
            by_components=not (unwanted := _why_not_wanted(method, ts, is_member)),
            kernel=method.kernel == "always",
            is_member=is_member,
            mass=equation.mass,
        )
    else:
        unwanted = f"`{type(adjoint).__name__}` differentiates it, which takes arrays."
        found = adjoint.solved(setup, given)
    ys = found.ys if ts is not None else jax.tree.map(lambda y: y[None], found.y1)
    result = _result(found.result)
    stats = Record(
        num_steps=found.num_steps,
        num_accepted_steps=found.num_accepted,
        num_rejected_steps=found.num_steps - found.num_accepted,
        num_field_evaluations=found.num_evaluations,
        first_step=found.first_step,
        time_reached=jax.lax.stop_gradient(found.t),
        **_engine(method, unwanted, found, span),
        adjoint=Static(type(adjoint).__name__),
    )
    estimates = None if found.estimates is None else _named(found.estimates)
    following = None if method.has_fixed_steps else Step(found.next_step, *found.errors)
    ts, final = span[1:] if ts is None else ts, Final(span[1], found.y1, following)
    solution = Solution(ts, ys, stats, result, found.between, final, estimates=estimates)
    return Attempt(solution, found.y)


def lean_adjoint(
    equation: Equation, method: Method, span: jax.Array, ts: jax.Array | None, u0: PyTree
) -> Adjoint:
    """The adjoint that differentiates a solve; the arguments are those of `solve_lean`."""
    return _prepared(equation, method, span, ts, u0, None)[-1]


def _prepared(
    equation: Equation,
    method: Method,
    span: jax.Array,
    ts: jax.Array | None,
    u0: PyTree,
    first_step: Step | None,
) -> tuple[Setup, Given, Adjoint]:
    """What is solved, with what, and the adjoint that differentiates it."""
    options = _options(method, span, u0, first_step)
    setup = Setup(
        _right_hand_side,
        options["tableau"],
        options["control"],
        options["max_steps"],
        options["samples"],
    )
    args = (equation.field, equation.parameters)
    errors = None if first_step is None else first_step[1:]
    tolerances = (options["rtol"], options["atol"])
    given = Given(span[0], span[1], ts, u0, args, *tolerances, options["dt0"], errors)
    has_all = method.dense or method.estimates
    adjoint = plain(method.adjoint) or DiscreteAdjoint()
    adjoint = adjoint.chosen(setup, given, has_all or equation.mass is not None)
    _check_adjoint(adjoint, method, given, isinstance(u0, WithCost))
    _check_adjoint_of_mass(adjoint, equation.mass)
    return setup, given, adjoint


def _engine(
    method: Method, unwanted: str, found: lean.Solved, span: jax.Array
) -> dict[str, Static]:
    """Which engine solved, and why no faster one did; told, once, where that was asked for."""
    arrays = unwanted or found.why_by_arrays.value
    kernel = unwanted or found.why_no_kernel.value or lean.why_no_kernel(span, "solve_ensemble")
    tell_no_kernel(method, kernel)
    name = "lean" if arrays else "lean-components" if kernel else "kernel"
    named = {"engine": name, "why_not_components": arrays, "why_not_kernel": kernel}
    return {key: Static(value) for key, value in named.items()}


def tell_no_kernel(method: Method, reason: str) -> None:
    """Warn, once, of the reason why a solve is not by a kernel, where that was asked for."""
    if method.kernel == "always" and reason:
        lean.tell_once(f'kernel="always": a solve is not by a kernel. {reason}')


def _why_not_wanted(method: Method, ts: jax.Array | None, is_member: bool) -> str:
    """Why steps are not to be taken by components; empty if they are, where the field has a form.

    States inside the steps of one solve cost more than its steps save.
    """
    if method.kernel == "never":
        return 'It has kernel="never".'
    if method.kernel == "auto" and ts is not None and not is_member:
        return "It is one solve with wanted times, which arrays do as fast."
    return ""


def cross_lean(
    equation: Equation,
    method: Method,
    span: jax.Array,
    u0: PyTree,
    watch: lean.Watch,
    first_step: Step | None = None,
) -> lean.Crossing:
    """Where on its way from `u0` a solve first meets a condition of `watch`.

    The other arguments are those of `solve_lean`.
    """
    found = lean.first_crossing(
        _right_hand_side,
        span[0],
        span[1],
        u0,
        (equation.field, equation.parameters),
        watch,
        **_options(method, span, u0, first_step),
    )
    return found._replace(result=_result(found.result))


def _right_hand_side(t: jax.Array, u: PyTree, args: tuple[Any, Any]) -> Any:
    field, parameters = args
    return field(t, u, parameters)


def _options(
    method: Method, span: jax.Array, u0: PyTree, first_step: Step | None
) -> dict[str, Any]:
    """The method as options of `ops`."""
    controller = plain(method.stepsize_controller)
    tolerances = controller if isinstance(controller, diffrax.PIDController) else method
    rtol, atol = tolerances.rtol, tolerances.atol
    if isinstance(u0, WithCost):
        rtol, atol = WithCost(rtol, 0.0), WithCost(atol, None)
    dt0 = None if method.dt0 is None else jnp.asarray(method.dt0, span.dtype)
    if first_step is not None:
        dt0 = first_step.length
    return {
        "tableau": _tableau(type(plain(method.solver))),
        "rtol": rtol,
        "atol": atol,
        "dt0": dt0,
        "control": _control(method) or lean.Adaptive(),
        "max_steps": method.max_steps,
        "samples": int(all(leaf.ndim > 1 for leaf in jax.tree.leaves(state_of(u0)))),
    }


def _result(found: jax.Array) -> Any:
    """One of ours, for the code of a solve."""
    result: Any = RESULTS.successful
    for code, item in _RESULTS.items():
        result = RESULTS.where(found == code, item, result)
    return result


def _named(estimates: lean.Estimates) -> Record:
    """The estimates that the method has, by name."""
    found = estimates._asdict().items()
    return Record({name: value for name, value in found if value is not None})
