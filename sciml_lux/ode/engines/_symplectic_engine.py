"""The engine of symplectic solvers, for separable fields."""

import dataclasses
from typing import Any

import jax
from jaxtyping import PyTree

from ...core import Record, Static, layer_name
from ...core.internal import describe
from ...ops import internal as lean
from ..equation._equation import Equation
from ..equation._solvable import Solvable
from ..method._method import Method, plain
from ..method._symplectic import Symplectic
from ..problem._step import Step
from ..solution._final import Final
from ..solution._results import RESULTS
from ..solution._solution import Attempt, Solution

_MOST_SUBSTEPS = 2**31 - 1

# Tolerances are for the solvers that choose their steps.
_OPTIONS = frozenset({"solver", "rtol", "atol", "dt0", "max_steps", "throw", "dense"})

_RESULTS = {
    lean.MAX_STEPS: RESULTS.max_steps_reached,
    lean.DIVERGED: RESULTS.diverged,
}


def is_symplectic(method: Method) -> bool:
    """Whether this engine is the one for `method`."""
    return isinstance(plain(method.solver), Symplectic)


def check_symplectic(layer: Solvable, u0: PyTree) -> None:
    """Raise if a symplectic solver does not have an option, or takes no such state.

    Raises:
        ValueError: names the option, or the state.
    """
    name, method = layer_name(layer), layer.method
    if not is_symplectic(method):
        return
    fields: tuple[Any, ...] = dataclasses.fields(method)
    given = {f.name: plain(getattr(method, f.name)) for f in fields if f.name not in _OPTIONS}
    others = {option: value for option, value in given.items() if value != _default(fields, option)}
    if layer.running_cost is not None:
        others["running_cost"] = layer.running_cost
    if layer.events:
        others["events"] = layer.events
    solver = plain(method.solver)
    for option, value in others.items():
        raise ValueError(
            f"`{name}` has solver={solver!r}, which has steps of one length, and no "
            f"`{option}`, got {value!r}. Leave it out, or take diffrax.Tsit5()."
        )
    if method.max_steps * solver.composition.number > _MOST_SUBSTEPS:
        raise ValueError(
            f"`{name}` expects `max_steps` to be at most "
            f"{_MOST_SUBSTEPS // solver.composition.number} with solver={solver!r}, got "
            f"{method.max_steps}."
        )
    if not isinstance(u0, tuple) or len(u0) != 2 or not all(map(jax.tree.leaves, u0)):
        found = describe(u0) if hasattr(u0, "dtype") else str(jax.tree.structure(u0))
        raise ValueError(
            f"`{name}` has solver={solver!r}, which expects the state to be a pair (q, p), got "
            f"{found}. Write ode.Phase(q, p)."
        )


def _default(fields: tuple[Any, ...], option: str) -> Any:
    return next(field.default for field in fields if field.name == option)


def solve_symplectic(
    equation: Equation,
    method: Method,
    span: jax.Array,
    ts: jax.Array | None,
    u0: PyTree,
    first_step: Step | None = None,
) -> Attempt:
    """The states of `equation` at `ts`; a failed solve does not raise: its `result` says why.

    Args:
        equation: what is solved.
        method: how it is solved; `is_symplectic(method)`.
        span: (t0, t1), in the dtype of the clock.
        ts: (n,) the times at which the states are wanted; None for t1 alone.
        u0: the state at t0, a pair.
        first_step: None, as steps are fixed.

    Raises:
        ValueError: the field is not separable.
    """
    found = lean.solve_symplectic(
        lambda t, u, args: args[0](t, u, args[1]),
        span[0],
        span[1],
        u0,
        (equation.field, equation.parameters),
        composition=plain(method.solver).composition,
        dt0=method.dt0 or 0.0,
        ts=ts,
        max_steps=method.max_steps,
        dense=method.dense,
    )
    ys = found.ys if ts is not None else jax.tree.map(lambda y: y[None], found.y1)
    result: Any = RESULTS.successful
    for code, item in _RESULTS.items():
        result = RESULTS.where(found.result == code, item, result)
    stats = Record(
        num_steps=found.num_steps,
        num_accepted_steps=found.num_steps,
        num_rejected_steps=found.num_steps - found.num_steps,
        num_field_evaluations=found.num_evaluations,
        first_step=found.step.astype(span.dtype),
        time_reached=jax.lax.stop_gradient(found.t),
        engine=Static("symplectic"),
    )
    ts, final = span[1:] if ts is None else ts, Final(span[1], found.y1)
    solution = Solution(ts, ys, stats, result, found.between, final)
    return Attempt(solution, found.y)
