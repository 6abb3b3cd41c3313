"""ODELayer: the base of differential-equation layers, with the solve."""

import dataclasses
import functools
from typing import Any, ClassVar

import diffrax
import jax
from jaxtyping import PyTree

from ..core import Layer, Parameters, States, layer_name
from ..core.internal import guarded, is_observed
from ..precision import match_eltype_mode
from ._diffrax_engine import solve_with_diffrax
from ._equation import VectorField, equation_of
from ._failure import Failure, raising, with_failure
from ._initial_state import initial_state, state_dtype
from ._lean_engine import solve_lean, why_not_lean
from ._method import Method, check_options, check_tolerance, hashable
from ._solution import Solution
from ._times import as_times, check_span, clock_times, ends_met, real_dtype, rounding


class ODELayer(Layer):
    """Base of layers whose output solves du/dt = f(t, u).

    A subclass has a field `tspan`, the pair (t0, t1), and defines `vector_field`.

    Args:
        saveat: the times of the output, sorted, within `tspan`; None for t1 alone.
        solver: a diffrax solver; `Tsit5` by default.
        rtol: relative tolerance of adaptive steps.
        atol: absolute tolerance of adaptive steps.
        dt0: the first step; None lets the solver choose. Solvers with fixed steps need a number.
        stepsize_controller: a diffrax controller; None for adaptive steps by `rtol` and `atol`.
        adjoint: how the solve is differentiated. None differentiates the steps that were taken:
            with derivatives of any order, forward and reverse, where the lean engine solves, else
            by `RecursiveCheckpointAdjoint`. Or a diffrax adjoint; `BacksolveAdjoint` contains
            products of diffrax, which in float32 have the platform's default precision.
        max_steps: the largest number of steps; a solve that needs more fails.
        throw: whether a failed solve raises; if not, the `result` of `solve(...)` says why.

    The lean engine, our own, solves where `solver` is one of diffrax's Euler, Heun, Midpoint,
    Ralston, Bosh3, Tsit5 and Dopri5 or our Vern7 and Vern9, with the default `adjoint`, and with
    the default `stepsize_controller` or `ConstantStepSize`; else diffrax does. `solve(...)`'s
    `stats.engine` says which. The lean engine holds each sample of a batch to the tolerance, the
    first axis of a state of two axes or more; diffrax the batch together.

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

    _: dataclasses.KW_ONLY
    saveat: Any = None
    solver: diffrax.AbstractSolver = diffrax.Tsit5()
    rtol: float = 1e-6
    atol: float = 1e-6
    dt0: float | None = None
    stepsize_controller: diffrax.AbstractStepSizeController | None = None
    adjoint: diffrax.AbstractAdjoint | None = None
    max_steps: int = 4096
    throw: bool = True

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
        check_options(name, self, tspan)
        for option in ("solver", "adjoint", "stepsize_controller"):
            object.__setattr__(self, option, hashable(getattr(self, option)))

    @functools.cached_property
    def method(self) -> Method:
        """How the equation is solved: the options from `solver` to `throw`."""
        return Method(**{name: getattr(self, name) for name in Method._field_names})

    def vector_field(self, ps: Parameters, st: States) -> VectorField:
        """`f(t, u) -> du/dt` for these parameters and states."""
        raise TypeError(f"`{layer_name(self)}` defines no `vector_field(ps, st)`.")

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[Any, Any]:
        """The states at `saveat`, (n, *x.shape), or at t1, x.shape; `st` as it was."""
        solution, st = self.solve(x, ps, st)
        ys = solution.ys
        return (ys if self.saveat is not None else jax.tree.map(lambda y: y[-1], ys)), st

    @guarded
    def solve(self: Any, u0: PyTree, ps: Parameters, st: States) -> tuple[Solution, Any]:
        """The solution with times, statistics and the reason why it ended; `st` as it was.

        Raises:
            TypeError: the state is not floating or has two dtypes, or the vector field returns
                another dtype; the message names the leaf.
            ValueError: the state is not finite, or the vector field returns another shape.
            RuntimeError: the solve failed, or under `jit` the state is not finite.
        """
        name, mode = layer_name(self), match_eltype_mode()
        u0 = initial_state(self, u0, ps)
        clock = real_dtype(state_dtype(name, u0))
        check_tolerance(name, self.method, clock)
        span = clock_times(name, self.tspan, clock)
        ts = None if self.saveat is None else clock_times(name, self.saveat, clock)
        # Whoever looks at the calls of the model, or is warned by them, is to see them each time.
        seen = is_observed() or mode == "warn"
        solution, failure = (self._solved if seen else self._compiled)(u0, ps, st, span, ts, mode)
        return (raising(self, solution, failure) if self.throw else solution), st

    @functools.cached_property
    def _compiled(self: Any) -> Any:
        return jax.jit(self._solved, static_argnums=5)

    def _solved(
        self: Any, u0: Any, ps: Any, st: Any, span: jax.Array, ts: jax.Array | None, mode: str
    ) -> tuple[Solution, Failure]:
        """The solution, and whether and why there is none; `mode` is that of `match_eltype`."""
        equation = equation_of(self, span[0], u0, ps, st)
        engine = solve_lean if why_not_lean(self.method) is None else solve_with_diffrax
        solution = engine(equation, self.method, span, ts, u0)
        return with_failure(equation, span[0], u0, ps, solution)
