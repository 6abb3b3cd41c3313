"""From a problem to its solution: what the layers and `solve` have in common."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core import Parameters, Record, States, Static, layer_name
from ...core.internal import is_observed, subject
from ...precision import match_eltype_mode, result_dtype
from ..engines._engine import DIFFRAX, LEAN, SYMPLECTIC
from ..engines._lean_engine import (
    check_estimates,
    check_mass_engine,
    tell_no_kernel,
    why_not_lean,
)
from ..engines._symplectic_engine import check_symplectic, is_symplectic
from ..equation._equation import equation_of
from ..equation._solvable import Inputs, Solvable
from ..events._happening import check_method, happening_of
from ..events._place import Task
from ..events._stretches import solve_with_events
from ..failure._failure import Failure, with_failure
from ..failure._raising import raising
from ..method._method import check_tolerance
from ..problem._initial_state import initial_state, state_dtype
from ..problem._interpolated import Interpolated
from ..problem._mass_matrix import check_mass_matrix
from ..problem._problem import Problem, has_samples
from ..problem._problem_times import Times, times_of
from ..problem._step import Step, is_sound, step_in_clock
from ..problem._times import real_dtype
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution
from ._running_cost import apart, check_engine

Updates = Mapping[int, jax.Array]
"""New states of a layer, by their number."""


def run(
    layer: Solvable, problem: Problem, ps: Parameters, st: States, compiled: Callable[..., Any]
) -> tuple[Solution, Updates]:
    """The solution of `problem` with the vector field of `layer`, and the states that it changes.

    Args:
        layer: has a `vector_field`, a `method` and its options, `tspan`, `saveat`, `batch_axis`.
        problem: what is solved.
        ps: the parameters.
        st: the states.
        compiled: `solved` with this layer, as by `jax.jit`.

    Raises:
        TypeError, ValueError: see `Problem` and `ODELayer`.
        RuntimeError: the solve failed.
    """
    name, mode = layer_name(layer), match_eltype_mode()
    u0 = initial_state(layer, problem.u0, ps)
    dtype = state_dtype(name, u0)
    clock = real_dtype(dtype)
    check_tolerance(name, layer.method, clock)
    check_symplectic(layer, u0)
    check_engine(layer)
    check_estimates(name, layer.method)
    check_method(layer)
    inputs = _checked_inputs(layer, problem.inputs, dtype)
    mass = problem.mass_matrix
    check_mass_matrix(name, mass, u0, has_samples(problem))
    check_mass_engine(layer, mass)
    times = times_of(name, problem, layer.tspan, layer.saveat, clock)
    times = _with_first_step(layer, times, problem.first_step, clock)
    # So that whoever watches the calls of the model, or is warned by them, sees each of them.
    seen = is_observed() or mode == "warn"
    solve = functools.partial(solved, layer) if seen else compiled
    solution, failure, updates = solve(u0, ps, st, times, inputs, mode, mass)
    more = () if inputs is None else (inputs,)
    return raising(layer, times, solution, failure, (ps, st, *more)), updates


def solved(
    layer: Solvable,
    u0: PyTree,
    ps: Parameters,
    st: States,
    times: Times,
    inputs: Inputs,
    mode: str,
    mass: jax.Array | None = None,
) -> tuple[Solution, Failure, Updates]:
    """The solution, whether and why there is none, and the states that change.

    `mode` is that of `match_eltype`, on which the program depends.
    """

    def one(
        u0: PyTree,
        ps: Parameters,
        times: Times,
        inputs: Inputs,
        mass: jax.Array | None,
        is_member: bool = False,
    ) -> tuple[Solution, Failure, Updates]:
        return _solved_once(layer, u0, ps, st, times, inputs, mass, is_member)

    if times.t0.ndim > 0:
        of_mass = 0 if mass is not None and mass.ndim > 2 else None
        axes = (0, _axes_of_parameters(layer, ps), 0, _axes_of_inputs(inputs), of_mass)
        member = functools.partial(one, is_member=True)
        found = jax.vmap(member, axes)(u0, ps, times, inputs, mass)
        if found[2]:
            raise ValueError(
                f'{subject(layer)} has state_policy="{layer.state_policy}", but with times of each '
                'sample there is not one new value of a state. Take state_policy="frozen".'
            )
        return found
    solution, failure, updates = one(u0, ps, times, inputs, mass)
    if layer.batch_axis is not None and times.ts is not None:
        ys = jax.tree.map(lambda y: jnp.moveaxis(y, 0, 1), solution.ys)
        solution = solution._replace(ys=ys)
    return solution, failure, updates


def _solved_once(
    layer: Solvable,
    u0: PyTree,
    ps: Parameters,
    st: States,
    times: Times,
    inputs: Inputs,
    mass: jax.Array | None,
    is_member: bool,
) -> tuple[Solution, Failure, Updates]:
    # Times and steps that make no sense are not solved for; that they do not is the result.
    t0, t1, ts = jax.tree.map(
        lambda part: jnp.where(times.sound, part, jnp.zeros_like(part)), times[:3]
    )
    equation = equation_of(layer, t0, u0, ps, st, inputs)._replace(mass=mass)
    reason = why_not_lean(layer.method)
    engine = LEAN if reason is None else DIFFRAX
    engine = SYMPLECTIC if is_symplectic(layer.method) else engine
    solve = functools.partial(engine.solve, **engine.of_member) if is_member else engine.solve
    span = jnp.stack([t0, t1])
    start = equation.start(u0)
    step = times.first_step
    if step is not None:
        step = Step(*(jnp.where(is_sound(step), part, 1) for part in step))
    if layer.events:
        happening = happening_of(layer, span, u0, ps, inputs)
        task = Task(engine._replace(solve=solve), equation, layer.method, span, ts, step, happening)
        solution, reached = solve_with_events(task, start)
    else:
        solution, reached = solve(equation, layer.method, span, ts, start, step)
    stats = solution.stats | {"why_not_lean": Static(reason or "")}
    if "why_not_components" not in list(stats):
        why = f"It has {reason or 'events'}."
        tell_no_kernel(layer.method, why)
        stats |= {"why_not_components": Static(why), "why_not_kernel": Static(why)}
    solution = solution._replace(stats=stats, result=_sound(times, solution.result))
    attempt = Attempt(solution, reached)
    solution, failure = with_failure(equation, layer.method, span, start, ps, attempt)
    solution, failure = apart(solution, failure)
    solution = solution._replace(result=_sound(times, solution.result))
    return solution, failure, dict(equation.updates)


def _with_first_step(layer: Solvable, times: Times, step: Step | None, clock: np.dtype) -> Times:
    if step is None:
        return times
    fixed = layer.method.has_fixed_steps
    step = step_in_clock(layer_name(layer), step, times.t0.shape, fixed, clock)
    return times._replace(first_step=step)


def _sound(times: Times, result: RESULTS) -> Any:
    result = RESULTS.where(times.sound, result, RESULTS.times_out_of_order)
    if times.first_step is None:
        return result
    return RESULTS.where(is_sound(times.first_step), result, RESULTS.first_step_not_positive)


def _axes_of_parameters(layer: Solvable, ps: Parameters) -> Any:
    """Of each parameter, whether it has a leading axis of samples."""
    axes = layer.parameters_axes
    return axes if axes is None else jax.tree.unflatten(jax.tree.structure(ps), axes)


def _axes_of_inputs(inputs: Inputs) -> Any:
    """Of each signal, whether it has a leading axis of samples: its times then have two."""
    if inputs is None:
        return None
    axes = {name: 0 if signal.times.ndim > 1 else None for name, signal in inputs.items()}
    return Record(axes)


def _checked_inputs(layer: Solvable, inputs: Inputs, dtype: np.dtype) -> Any:
    """The signals, which must not be of a wider dtype than the state, with times in its clock."""
    if inputs is None:
        return None
    parameters = inspect.signature(layer.vector_field).parameters
    if len(parameters) < 3:
        raise TypeError(
            f"{subject(layer)} takes no `inputs`, got {', '.join(inputs)}. Define "
            "`vector_field(ps, st, inputs)`."
        )
    for name, signal in inputs.items():
        if not isinstance(signal, Interpolated):
            raise TypeError(
                f"{subject(layer)} expects the input `{name}` to be an `Interpolated`, got "
                f"{type(signal).__name__}. Write ode.Interpolated(times, values)."
            )
        if result_dtype(signal.values, jax.ShapeDtypeStruct((), dtype)) != dtype:
            raise TypeError(
                f"{subject(layer)} expects the input `{name}` to be of the dtype of the state, "
                f"{dtype.name}, or a narrower one, got {signal.values.dtype.name}. Convert its "
                "values, or the state."
            )
    return Record({name: s.in_clock(real_dtype(dtype)) for name, s in inputs.items()})
