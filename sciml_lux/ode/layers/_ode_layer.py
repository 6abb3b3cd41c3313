"""ODELayer: the base of differential-equation layers, with the solve."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import diffrax
import jax
from jaxtyping import PyTree

from ...core import Layer, Parameters, States, layer_name
from ...core.internal import check_choice, check_function, guarded, match_own_dtype
from ..adjoints._adjoint import Adjoint
from ..adjoints._auto import named
from ..equation._solvable import VectorField
from ..equation._state_policy import POLICIES, with_updates
from ..events._event import Event, PresetTimes, check_events, check_known_times
from ..method._method import Method, check_options, hashable
from ..method._symplectic import Symplectic
from ..problem._problem import as_problem
from ..problem._times import as_times, check_span, ends_met, rounding
from ..solution._solution import Solution
from ..solving._run import run, solved


class ODELayer(Layer):
    """Base of layers whose output solves du/dt = f(t, u).

    A subclass has a field `tspan`, the pair (t0, t1), and defines `vector_field`.

    Args:
        saveat: the times of the output, sorted, within `tspan`; None for t1 alone.
        solver: a diffrax solver, `Tsit5` by default; or one of ours: `Vern7`, `Vern9`, for stiff
            problems `Rodas5P`, and the symplectic `Leapfrog`, `Yoshida4` and `Yoshida6` for states
            that are pairs (q, p).
        rtol: relative tolerance of adaptive steps.
        atol: absolute tolerance of adaptive steps.
        dt0: the first step; None lets the solver choose. Solvers with fixed steps need a number.
        stepsize_controller: a diffrax controller; None for adaptive steps by `rtol` and `atol`.
        adjoint: how the solve is differentiated. None differentiates the steps that were taken:
            with derivatives of any order, forward and reverse, where the lean engine solves, else
            by `RecursiveCheckpointAdjoint`. Or one of `ode`: `DiscreteAdjoint` (the same),
            `InterpolatingAdjoint`, `GaussAdjoint`, `BacksolveAdjoint`, `ReversibleAdjoint`,
            `ForwardSensitivity`, `SteadyStateAdjoint`; "auto", see `AutoAdjoint`; or a diffrax
            adjoint, whose `BacksolveAdjoint` contains products that in float32 have the platform's
            default precision. `docs/gradients.md` compares them.
        max_steps: the largest number of steps; a solve that needs more fails.
        throw: whether a failed solve raises where there are values, outside of `jit`. Under `jit`
            and where False, its states and all derivatives are NaN, and the `result` of
            `solve(...)` says why. "callback" raises under `jit` too, while the program runs.
        dense: whether `solve(...)` returns a solution that can be called with any time between t0
            and t1. It remembers all of `max_steps` steps.
        estimates: whether `solve(...)` returns the `estimates` of how hard the solve was, which a
            loss may make small, so that the model learns to be solved in few steps. The lean engine
            has them; they cost a second pass over the steps.
        kernel: whether the lean engine takes the steps of a small field by its components. "auto":
            in a solve for the state at t1 alone, and where each sample has its own steps; that is
            several times as fast. "always": with wanted times too, and on CUDA in a kernel of our
            own, which has been compiled and emulated, and not timed yet. "never".
            `docs/kernels.md` says which fields are small.
        batch_axis: 0 for states whose first axis is a batch: the output then has it first too, and
            its times second. By default times come first.
        running_cost: a function `running_cost(t, u, du, ps)` of the time, the state, its derivative
            and the parameters, and of the inputs where there are some. Its integral from t0 to t1
            is the `cost` of `solve(...)`: a number, or a tree of arrays in the dtype of the state,
            such as one of each sample. Steps do not depend on it. Where the layer is part of a
            model, a layer of your own calls `solve(...)` and returns the cost beside its output.
        events: a tuple of `Event` and `PresetTimes`, whose functions get the parameters as `args`.
        max_events: how many events that are not preset may happen before the solve fails. Each of
            them has room in memory where a derivative is taken.
        state_policy: what to do where an evaluation of the field changes a state, as BatchNorm and
            Dropout do in training. "refuse" raises an error that names the state. "once": each
            solve updates the states once, by the evaluation at t0, and returns them: running
            statistics of u0, a new random key for the next solve. "frozen": they stay as they are.
            In all of them each evaluation begins with the states that the solve was given.

    Inputs: x, the state at t0; or a `Problem`, with times, controls and a mask as data.

    Returns: (n, *x.shape) for n wanted times, or x.shape at t1 where there are none; with
    `batch_axis=0`, or times of each sample, (batch, n, *x.shape[1:]).

    The lean engine, our own, solves where `solver` is one of diffrax's Euler, Heun, Midpoint,
    Ralston, Bosh3, Tsit5 and Dopri5 or our Vern7, Vern9 and Rodas5P, with an `adjoint` of `ode`,
    and with the default `stepsize_controller`, `ConstantStepSize`, or a `PIDController` of
    coefficients, factors and tolerances alone, also those of each component; symplectic solvers
    have an engine of their own, see `Leapfrog`; else diffrax does. `solve(...)`'s `stats.engine`
    says which. The lean engine holds each sample of a batch to the tolerance, the first axis of a
    state of two axes or more; diffrax the batch together.

    With implicit solvers and Dopri8 a solve steps onto the times of `saveat`, up to 64 of them:
    inside a step these interpolate at a lower order. `docs/stiff.md` says how to step onto more,
    and which options solve stiff problems to nine digits.

    A solve outside of `jit` is compiled as by `jax.jit`, once for a layer and each shape: what the
    vector field closes over is read then. A time of `saveat` that is beyond an end of `tspan` by
    rounding alone is that end.

    Times take the real dtype of the state: a float32 state stays float32 though the times are
    Python floats and x64 is on, and a float64 state has a float64 clock.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode, setup
        >>> class Decay(ode.ODELayer):
        ...     rate: float
        ...     tspan: tuple[float, float]
        ...     def vector_field(self, ps, st):
        ...         return lambda t, u: -self.rate * u
        >>> model = Decay(1.0, (0.0, 1.0))
        >>> u, _ = model(jnp.ones(1, jnp.float32), *setup(0, model))
        >>> round(u.item(), 4)  # exp(-1)
        0.3679
    """

    has_summary_row: ClassVar[bool] = True
    parameters_axes: ClassVar[None] = None

    _: dataclasses.KW_ONLY
    saveat: Any = None
    solver: diffrax.AbstractSolver | Symplectic = diffrax.Tsit5()
    rtol: float = 1e-6
    atol: float = 1e-6
    dt0: float | None = None
    stepsize_controller: diffrax.AbstractStepSizeController | None = None
    adjoint: Adjoint | diffrax.AbstractAdjoint | str | None = None
    max_steps: int = 4096
    throw: bool | Literal["callback"] = True
    dense: bool = False
    estimates: bool = False
    kernel: Literal["auto", "always", "never"] = "auto"
    batch_axis: int | None = None
    state_policy: str = "refuse"
    running_cost: Callable[..., PyTree] | None = None
    events: tuple[Event | PresetTimes, ...] = ()
    max_events: int = 16

    def __post_init__(self: Any) -> None:  # Any: `tspan` is a field of the subclasses.
        """Make times Python floats, and check every option."""
        name = layer_name(self)
        tspan = as_times(self.tspan, name, "tspan")
        saveat = None if self.saveat is None else as_times(self.saveat, name, "saveat")
        if saveat is not None:
            saveat = ends_met(saveat, tspan, rounding(self.saveat, self.tspan))
        check_span(name, tspan, saveat)
        object.__setattr__(self, "tspan", tspan)
        object.__setattr__(self, "saveat", saveat)
        object.__setattr__(self, "adjoint", named(self.adjoint))
        check_options(name, self, tspan)
        check_choice(name, "batch_axis", self.batch_axis, (None, 0))
        check_choice(name, "state_policy", self.state_policy, POLICIES)
        if self.running_cost is not None:
            check_function(name, "running_cost", self.running_cost)
        check_events(name, self.events, self.max_events)
        check_known_times(name, self.events)
        for option in ("solver", "adjoint", "stepsize_controller"):
            object.__setattr__(self, option, hashable(getattr(self, option)))

    @functools.cached_property
    def method(self) -> Method:
        """How the equation is solved: the options from `solver` to `kernel`."""
        return Method(**{name: getattr(self, name) for name in Method._field_names})

    def vector_field(self, ps: Parameters, st: States) -> VectorField:
        """`f(t, u) -> du/dt` for these parameters and states."""
        raise TypeError(
            f"`{layer_name(self)}` defines no `vector_field`. Write a method "
            "`vector_field(self, ps, st)` that returns a function of t and u."
        )

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[Any, Any]:
        """The states at the wanted times, or at t1 where none are; and the states of the layer."""
        solution, st = self.solve(x, ps, st)
        if self.saveat is not None or as_problem(x).ts is not None:
            return solution.ys, st
        axis = solution.ts.ndim - 1
        return jax.tree.map(
            lambda y: jax.lax.index_in_dim(y, -1, axis, keepdims=False), solution.ys
        ), st

    def start(self, u0: PyTree) -> Any:
        """The state that is solved from, of the one that the layer is given: the same."""
        return u0

    @guarded
    def solve(self: Any, x: PyTree, ps: Parameters, st: States) -> tuple[Solution, Any]:
        """The solution with times, statistics and the reason why it ended; and the states.

        Raises:
            TypeError: the state is not floating or has two dtypes, or the vector field returns
                another dtype; the message names the leaf.
            ValueError: the state is not finite, or the vector field returns another shape.
            StateChangedError: a state of a model changes, and `state_policy` is "refuse".
            RuntimeError: the solve failed.
        """
        problem = as_problem(x)
        if problem is x:
            problem = problem.with_state(match_own_dtype(self, problem.u0, ps, st))
        problem = problem.with_state(self.start(problem.u0))
        solution, updates = run(self, problem, ps, st, self._compiled)
        return solution, with_updates(st, updates)

    @functools.cached_property
    def _compiled(self: Any) -> Any:
        return jax.jit(functools.partial(solved, self), static_argnums=5)
