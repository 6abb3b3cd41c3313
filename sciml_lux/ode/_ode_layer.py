"""ODELayer: what all differential-equation layers share, the solve."""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..core import Layer, Record, describe, guarded, layer_name, named_leaves, subject
from ..precision import as_dtype, match_eltype_mode, match_input, shared, tree_dtype
from ._failure import raise_if_failed
from ._options import VectorField, check_options, hashable, held
from ._solution import Solution
from ._times import as_times, check_span, clock_times, real_dtype, state_dtype


class ODELayer(Layer):
    """Base of layers whose output solves du/dt = f(t, u); subclasses write `vector_field`.

    Args:
        saveat: times at which the output is wanted, sorted, within `tspan`; None for t1 alone.
        solver: a diffrax solver; `Tsit5` by default.
        rtol: relative tolerance of adaptive steps.
        atol: absolute tolerance of adaptive steps.
        dt0: first step; None lets the solver choose, a number is needed for fixed steps.
        stepsize_controller: a diffrax controller; None for adaptive steps by `rtol` and `atol`.
        adjoint: how the solve is differentiated, a diffrax adjoint. That of `BacksolveAdjoint` has
            products of diffrax's own, in float32 at the platform's precision.
        max_steps: steps after which the solve gives up.
        throw: whether a failed solve raises; if not, look at `solve(...)`'s `result`.

    Times take the real dtype of the state: a float32 state stays float32 though the times are
    Python floats and x64 is on, and a float64 state has a float64 clock.
    """

    has_summary_row: ClassVar[bool] = True

    _: dataclasses.KW_ONLY
    saveat: Any = None
    solver: diffrax.AbstractSolver = diffrax.Tsit5()
    rtol: float = 1e-6
    atol: float = 1e-6
    dt0: float | None = None
    stepsize_controller: diffrax.AbstractStepSizeController | None = None
    adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint()
    max_steps: int = 4096
    throw: bool = True

    if TYPE_CHECKING:  # A field of every subclass, placed after its model.
        tspan: ClassVar[Any]

    def __post_init__(self) -> None:
        """Times as Python floats, and every option checked."""
        name = layer_name(self)
        tspan = as_times(self.tspan, name, "tspan")
        saveat = None if self.saveat is None else as_times(self.saveat, name, "saveat")
        check_span(name, tspan, saveat)
        object.__setattr__(self, "tspan", tspan)
        object.__setattr__(self, "saveat", saveat)
        check_options(self, name)
        for option in ("solver", "adjoint", "stepsize_controller"):
            object.__setattr__(self, option, hashable(getattr(self, option)))

    def vector_field(self, ps: Any, st: Any) -> VectorField:
        """`f(t, u) -> du/dt` for these parameters and states."""
        raise TypeError(f"`{layer_name(self)}` defines no `vector_field(ps, st)`.")

    def __call__(self, x: Any, ps: Any, st: Any) -> tuple[Any, Any]:
        """The states at `saveat`, (n, *x.shape), or at t1, x.shape; `st` as it was."""
        solution, st = self.solve(x, ps, st)
        ys = solution.ys
        return (ys if self.saveat is not None else jax.tree.map(lambda y: y[-1], ys)), st

    @guarded
    def solve(self, u0: Any, ps: Any, st: Any) -> tuple[Solution, Any]:
        """The solution with times, statistics and the reason it ended; `st` as it was.

        Raises:
            TypeError: the state is not floating, has two dtypes, or the vector field returns
                another dtype; names the leaf.
            ValueError: the state is not finite, or the vector field returns another shape.
            RuntimeError: the solve failed, or under `jit` the state is not finite.
        """
        dtype = tree_dtype(ps)
        u0 = _integers_as(dtype, u0)
        if dtype is not None and match_eltype_mode() == "convert":
            # The layers inside would narrow it at every evaluation, and a solve keeps one dtype.
            u0 = match_input(u0, dtype, lambda: subject(self))
        _check_finite(self, u0)
        field = self.vector_field(ps, st)
        clock = real_dtype(state_dtype(layer_name(self), u0))
        t0, t1 = clock_times(layer_name(self), self.tspan, clock)
        ts = clock_times(layer_name(self), self.saveat or self.tspan[1:], clock)
        _check_field(self, field, t0, u0)
        trees, narrowed = shared((ps, st))

        def moving(t: Any, u: Any, trees: Any) -> Any:
            return self.vector_field(*narrowed(trees))(t, u)

        found = diffrax.diffeqsolve(
            # Parameters go in as arguments: an adjoint with a rule of its own must see them.
            diffrax.ODETerm(moving),
            held(self.solver),
            t0,
            t1,
            None if self.dt0 is None else jnp.asarray(self.dt0, clock),
            u0,
            args=trees,
            saveat=diffrax.SaveAt(ts=ts),
            stepsize_controller=self._controller(clock),
            adjoint=held(self.adjoint),
            max_steps=self.max_steps,
            throw=False,
        )
        ys = found.ys
        if self.throw:
            ys = raise_if_failed(
                self, layer_name(self), ys, u0, ps, found.result, partial(field, t0)
            )
        names = ("num_steps", "num_accepted_steps", "num_rejected_steps")
        stats = Record({name: jnp.asarray(found.stats[name], jnp.int32) for name in names})
        return Solution(ts, ys, stats, found.result), st

    def _controller(self, clock: np.dtype) -> diffrax.AbstractStepSizeController:
        if self.stepsize_controller is not None:
            return held(self.stepsize_controller)
        if not isinstance(held(self.solver), diffrax.AbstractAdaptiveSolver):
            return diffrax.ConstantStepSize()
        # Measured on a rotation with Tsit5: down to about here steps get small, below it none is
        # accepted any more (float16 1e-5, bfloat16 3e-4, float32 3e-12).
        finest = float(jnp.finfo(clock).eps) ** (5 / 3)
        if self.rtol < finest:
            raise ValueError(
                f"`{layer_name(self)}` has rtol={self.rtol}, finer than {clock.name} resolves "
                f"({finest:.0e}), so that no step would be accepted. Loosen `rtol` and `atol`, or "
                "take a wider state."
            )
        return diffrax.PIDController(rtol=self.rtol, atol=self.atol)


def _integers_as(dtype: np.dtype | None, u0: Any) -> Any:
    """`u0` with integers in the dtype of the parameters, where there are any."""

    def convert(leaf: Any) -> Any:
        is_integer = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.integer)
        return as_dtype(leaf, dtype) if is_integer and dtype is not None else leaf

    return jax.tree.map(convert, u0)


def _check_finite(layer: ODELayer, u0: Any) -> None:
    for name, leaf in named_leaves(u0).items():
        if isinstance(leaf, Tracer) or not hasattr(leaf, "dtype"):
            continue
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf).all():
            where = f" at `{name}`" if name else ""
            raise ValueError(
                f"{subject(layer)}: the initial state is not finite{where}, got {leaf}. Look at "
                "the data it comes from."
            )


def _check_field(layer: ODELayer, field: VectorField, t0: Any, u0: Any) -> None:
    """Raise unless du/dt has the tree, shapes and dtypes of u; diffrax casts or fails obscurely."""
    du = jax.eval_shape(field, t0, u0)
    if jax.tree.structure(du) != jax.tree.structure(u0):
        raise ValueError(
            f"{subject(layer)}: the vector field must return a tree like the state, expected "
            f"{jax.tree.structure(u0)}, got {jax.tree.structure(du)}."
        )
    returned = named_leaves(du)
    for name, leaf in named_leaves(u0).items():
        if describe(leaf) == describe(returned[name]):
            continue
        where = f" at `{name}`" if name else ""
        error = TypeError if leaf.dtype != returned[name].dtype else ValueError
        raise error(
            f"{subject(layer)}: the vector field must return the shape and dtype of the state"
            f"{where}, expected {describe(leaf)}, got {describe(returned[name])}. Give the "
            "parameters and the initial state one dtype, and mind constants in the field."
        )
