"""The adjoint equation of a solve, leaf by leaf and in the dtype of sums."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops import internal as lean
from ...ops.internal import Leaves
from ...precision import accumulated
from ._given import Given, Setup


class AdjointEquation:
    """dλ/dt = -λ ∂f/∂u and dμ/dt = -λ ∂f/∂p, with the arguments p of f that move.

    Args:
        setup: what was solved.
        given: with this.
        flags: which leaves of `given` move.
        scale: the size of the cotangents, in which absolute tolerances are.
    """

    def __init__(self, setup: Setup, given: Given, flags: Sequence[bool], scale: jax.Array) -> None:
        self.setup = setup
        self.clock = given.t0.dtype
        self.given = given
        self.scale = scale
        self.moves: Given = jax.tree.unflatten(jax.tree.structure(given), list(flags))
        self.arg_flags = jax.tree.leaves(self.moves.args)
        self.arguments, self._args_tree = jax.tree.flatten(given.args)
        self.moving = [accumulated(x) for x in itertools.compress(self.arguments, self.arg_flags)]
        self._dtypes = [leaf.dtype for leaf in jax.tree.leaves(given.u0)]

    def with_wide_times(self) -> "AdjointEquation":
        """This one, whose solves and records have the clock of sums."""
        times = (self.given.t0, self.given.t1, self.given.ts)
        t0, t1, ts = jax.tree.map(accumulated, times)
        self.given = self.given._replace(t0=t0, t1=t1, ts=ts)
        return self

    def solve(
        self,
        field: Callable[[jax.Array, PyTree, PyTree], PyTree],
        span: tuple[jax.Array, jax.Array],
        state: PyTree,
        tolerances: tuple[PyTree, PyTree],
        dt0: jax.Array,
        **more: Any,
    ) -> tuple[lean.Solved, jax.Array]:
        """A solve from the first time of `span` to the second, and the step that would follow."""
        setup = self.setup._replace(field=field)
        found = setup.solve(Given(*span, None, state, None, *tolerances, dt0), **more)
        if isinstance(setup.control, lean.Fixed):
            return found, dt0
        return found, jnp.where(found.next_step > 0, found.next_step, dt0)

    def field(self, t: jax.Array, u: Leaves, moving: Leaves) -> Leaves:
        """f, of the leaves of a state."""
        rest = iter(moving)
        pairs = zip(self.arg_flags, self.arguments, strict=True)
        args = [next(rest).astype(x.dtype) if moves else x for moves, x in pairs]
        state = [leaf.astype(dtype) for leaf, dtype in zip(u, self._dtypes, strict=True)]
        tree = jax.tree.structure(self.given.u0)
        found = self.setup.field(
            t.astype(self.clock), tree.unflatten(state), self._args_tree.unflatten(args)
        )
        return wide(found)

    def products(self, t: jax.Array, u: Leaves, adjoint: Leaves) -> tuple[Leaves, Leaves]:
        """λ ∂f/∂u and λ ∂f/∂p."""
        _, transposed = jax.vjp(lambda u, p: self.field(t, u, p), u, self.moving)
        return transposed(adjoint)

    def with_slope(self, t: jax.Array, u: Leaves, adjoint: Leaves) -> tuple[Leaves, Leaves, Leaves]:
        """f, λ ∂f/∂u and λ ∂f/∂p."""
        slope, transposed = jax.vjp(lambda u, p: self.field(t, u, p), u, self.moving)
        return slope, *transposed(adjoint)

    def tolerances(self, name: str) -> list[Any]:
        """Those of the leaves of the state."""
        value = getattr(self.given, name)
        is_none = lambda value: value is None  # noqa: E731
        spread = jax.tree.broadcast(value, self.given.u0, is_none)
        return jax.tree.leaves(spread, is_leaf=is_none)

    def rate(self, t: jax.Array, u: PyTree, cotangent: Leaves) -> jax.Array:
        """λ f, the derivative by a time, as a real number."""
        slope = self.field(t, wide(u), self.moving)
        return sum_of_products(cotangent, slope).astype(self.given.t0.dtype)


def wide(tree: PyTree) -> Leaves:
    """The leaves, those in half precision in the dtype of their sums."""
    return [accumulated(leaf) for leaf in jax.tree.leaves(tree)]


def sum_of_products(cotangent: Leaves, values: Leaves) -> jax.Array:
    """Σ λᵢ vᵢ, of complex ones the real part: as JAX pairs cotangents and tangents."""
    sums = [jnp.sum((c * v).real) for c, v in zip(cotangent, values, strict=True)]
    return jnp.sum(jnp.stack(sums))


def largest(cotangents: Leaves) -> jax.Array:
    """The largest absolute value; 1 where all are 0."""
    parts = [jnp.max(jnp.abs(c), initial=0) for c in cotangents]
    found = jnp.max(jnp.stack(parts))
    return jax.lax.stop_gradient(jnp.where((found > 0) & jnp.isfinite(found), found, 1.0))
