"""Where a solve with diffrax first meets a condition."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops import internal as lean
from ..equation._equation import Equation
from ..equation._with_cost import WithCost
from ..method._method import Method, plain
from ..problem._step import Step
from ..solution._results import RESULTS
from ._diffrax_engine import controller_of, result_of


class _Watching(diffrax.AbstractWrappedSolver):
    """A solver that looks at conditions in each of its steps.

    What it sees is part of its state, which diffrax forgets with a step that it rejects. So the
    solver itself ends the solve, in the step after the one in which it has seen something: the
    events of diffrax are not told the state of the solver. Beside the arguments of the field are
    the watch, and the direction of time, which for diffrax always rises.
    """

    solver: diffrax.AbstractSolver  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def term_structure(self) -> Any:  # pyright: ignore
        """That of the solver; and so on."""
        return self.solver.term_structure

    @property
    def interpolation_cls(self) -> Any:  # pyright: ignore
        """Which interpolates its steps."""
        return self.solver.interpolation_cls

    def __getattr__(self, name: str) -> Any:
        """What diffrax reads of implicit and of Runge-Kutta solvers alone."""
        if name in ("root_finder", "scan_kind"):
            return getattr(self.solver, name)
        raise AttributeError(f"`{type(self).__name__}` has no attribute `{name}`.")

    def order(self, terms: PyTree) -> Any:
        """Its order."""
        return self.solver.order(terms)

    def error_order(self, terms: PyTree) -> Any:
        """The order of its error."""
        return self.solver.error_order(terms)

    def init(self, terms: PyTree, t0: Any, t1: Any, y0: PyTree, args: PyTree) -> Any:
        """Its state at the start, where nothing has been seen."""
        _, watch, direction = args
        start = self.solver.init(terms, t0, t1, y0, args)
        return start, lean.nothing_seen(watch, t0 * direction, y0)

    def step(
        self,
        terms: PyTree,
        t0: Any,
        t1: Any,
        y0: PyTree,
        args: PyTree,
        solver_state: Any,
        made_jump: Any,
    ) -> Any:
        """A step, and what is seen in it."""
        (_, watch, direction), (state, seen) = args, solver_state
        y1, error, dense, state, result = self.solver.step(
            terms, t0, t1, y0, args, state, made_jump
        )
        over = diffrax.RESULTS.where(seen.found, diffrax.RESULTS.event_occurred, result)
        inner = self.interpolation_cls(t0=t0, t1=t1, **dense)
        t, h = t0 * direction, (t1 - t0) * direction
        now = lean.looked_over(
            watch,
            seen,
            (t, h, y0),
            lambda part: inner.evaluate(t0 + part * (t1 - t0)),
            (t1 * direction, y1),
        )
        seen = jax.tree.map(lambda old, new: jnp.where(seen.found, old, new), seen, now)
        return y1, error, dense, (state, seen), over

    def func(self, terms: PyTree, t0: Any, y0: PyTree, args: PyTree) -> Any:
        """The slope."""
        return self.solver.func(terms, t0, y0, args)


def cross_with_diffrax(
    equation: Equation,
    method: Method,
    span: jax.Array,
    u0: PyTree,
    watch: lean.Watch,
    first_step: Step | None = None,
) -> lean.Crossing:
    """Where on its way from `u0` a solve first meets a condition of `watch`; without derivatives.

    The time is found by steps of the solver from the start of the step in which it is, which are as
    exact as any, where the interpolant of the solver may not be.

    The other arguments are those of `solve_with_diffrax`.
    """
    still = (equation.field, equation.parameters, span, u0, watch, first_step)
    field, parameters, (t0, t1), u0, watch, first_step = jax.lax.stop_gradient(still)
    controller = controller_of(method, None, isinstance(u0, WithCost))
    direction = jnp.where(t1 < t0, -1, 1).astype(span.dtype)

    def solved(t1: jax.Array, start: jax.Array, u: PyTree, dt0: Any, solver: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, u, args: field(t, u, args[0])),
            solver,
            start,
            t1,
            None if dt0 is None else jnp.copysign(jnp.abs(dt0), t1 - start).astype(span.dtype),
            u,
            args=(parameters, watch, direction),
            saveat=diffrax.SaveAt(t1=True, solver_state=True),
            stepsize_controller=controller,
            adjoint=diffrax.ForwardMode(),
            max_steps=method.max_steps,
            throw=False,
        )

    def state_at(part: jax.Array) -> Any:
        h = part * seen.h
        ys = solved(seen.t + h, seen.t, seen.y, h, plain(method.solver)).ys
        return jax.tree.map(lambda y: y[-1], ys)

    dt0 = method.dt0 if first_step is None else first_step.length
    found = solved(t1, t0, u0, dt0, _Watching(plain(method.solver)))
    seen = found.solver_state[1]
    part, which, jumps = lean.first_reached(watch, seen, state_at)
    reached = jax.tree.map(lambda y: y[-1], found.ys)
    success: Any = RESULTS.successful
    result = RESULTS.where(seen.found, success, result_of(method, found.result, reached))
    return lean.Crossing(
        seen.found,
        jnp.where(seen.found, seen.t + part * seen.h, jnp.asarray(found.ts)[-1]),
        which & seen.found,
        jumps & seen.found,
        seen.signs,
        jax.tree.map(lambda y, start: jnp.where(seen.found, start, y), reached, seen.y),
        jnp.asarray(found.stats["num_accepted_steps"], jnp.int32),
        jnp.asarray(found.stats["num_steps"], jnp.int32),
        None,
        result,
    )
