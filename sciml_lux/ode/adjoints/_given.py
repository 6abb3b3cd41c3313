"""What an adjoint works with: a solve on the lean engine, as data and as what is known before."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops import internal as lean
from ...precision import accumulated


class Given(NamedTuple):
    """The data of a solve.

    Attributes:
        t0: start.
        t1: end.
        ts: (n,) wanted times; None for t1 alone.
        u0: the state at t0.
        args: what the field gets.
        rtol: relative tolerance, a number or a tree.
        atol: absolute tolerance; None for a leaf outside of the error norm.
        dt0: first step, or None.
        errors: of the steps before, or None.
    """

    t0: jax.Array
    t1: jax.Array
    ts: jax.Array | None
    u0: PyTree
    args: PyTree
    rtol: PyTree
    atol: PyTree
    dt0: jax.Array | None = None
    errors: tuple[jax.Array, jax.Array] | None = None

    def with_arrays(self) -> "Given":
        """With arrays for the numbers among the tolerances."""
        dtype = accumulated(self.t0).dtype
        arrays = jax.tree.map(lambda x: jnp.asarray(x, dtype), (self.rtol, self.atol))
        return self._replace(rtol=arrays[0], atol=arrays[1])


class Setup(NamedTuple):
    """What is known of a solve before it starts.

    Attributes:
        field: du/dt of t, u and args.
        tableau: the method.
        control: how steps are chosen.
        max_steps: after which it gives up.
        samples: leading axes of the state that number samples.
    """

    field: Callable[[jax.Array, PyTree, PyTree], PyTree]
    tableau: lean.Tableau
    control: lean.Control
    max_steps: int
    samples: int = 0

    def solve(self, given: Given, **more: Any) -> lean.Solved:
        """The solve forwards, whose derivative is that of its steps."""
        return self._by(lean.solve, given, **more)

    def solve_reversibly(self, given: Given, coupling: float) -> lean.Solved:
        """The solve by steps that can be undone."""
        return self._by(lean.solve_reversibly, given, coupling=coupling)

    def _by(self, engine: Callable[..., lean.Solved], given: Given, **more: Any) -> lean.Solved:
        return engine(
            self.field,
            given.t0,
            given.t1,
            given.u0,
            given.args,
            ts=given.ts,
            rtol=given.rtol,
            atol=given.atol,
            dt0=given.dt0,
            errors=given.errors,
            tableau=self.tableau,
            control=self.control,
            max_steps=self.max_steps,
            samples=self.samples,
            **more,
        )
