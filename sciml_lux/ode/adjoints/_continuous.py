"""The base of adjoints that solve the adjoint equation backwards, from wanted time to time."""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core.internal import check_number
from ...ops import internal as lean
from ...ops.internal import Leaves
from ._adjoint import Adjoint
from ._adjoint_equation import AdjointEquation, largest, wide
from ._given import Given, Setup

STILL = object()
"""In the place of the cotangent of what does not move."""


class Back(NamedTuple):
    """Where a backward solve is.

    Attributes:
        t: the time.
        adjoint: the derivative of the loss by the state there.
        integral: that by the arguments, as far as they act from there on.
        u: the state there; empty where it is read from a record.
        dt0: the length of the next step.
        evaluations: of the field so far.
    """

    t: jax.Array
    adjoint: Leaves
    integral: Leaves
    u: Leaves
    dt0: jax.Array
    evaluations: jax.Array


class ContinuousAdjoint(Adjoint):
    """Solves the adjoint equation backwards; a subclass says how it goes from one time to the next.

    Absolute tolerances of the adjoint are in units of the largest cotangent, so that a loss and its
    multiple have gradients as good as each other. A backward solve that fails has no gradient: NaN.
    """

    keeps_solution: ClassVar[bool] = True

    _: dataclasses.KW_ONLY
    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self) -> None:
        """Check the tolerances."""
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if value is not None:
                check_number(type(self).__name__, name, value, above=0)
                if not math.isfinite(value):
                    raise ValueError(
                        f"`{type(self).__name__}` expects `{name}` to be finite, got {value}."
                    )

    def back(self, equation: AdjointEquation, solution: Any, at: Back, t: jax.Array) -> Back:
        """From `at` to the time t, without the jump there."""
        raise TypeError(f"`{type(self).__name__}` defines no `back`. Write one.")

    def tolerances(self, equation: AdjointEquation) -> tuple[list[Any], list[Any]]:
        """Relative and absolute ones of the adjoint, for each leaf of the state."""
        rtol, atol = equation.tolerances("rtol"), equation.tolerances("atol")
        if self.rtol is not None:
            rtol = [self.rtol for _ in rtol]
        if self.atol is not None:
            atol = [None if a is None else self.atol for a in atol]
        return rtol, [None if a is None else a * equation.scale for a in atol]

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve, with the derivatives of this adjoint."""

        def function(given: Given) -> tuple[PyTree, PyTree]:
            found = setup.solve(given)
            return _parted(found)

        def kept(given: Given) -> tuple[PyTree, PyTree, PyTree]:
            found = setup.solve(given, stores=self.keeps_solution)
            (y1, ys), rest = _parted(found)
            return (y1, ys), rest, (y1, ys, found.next_step, found.stored)

        def pull(given: Given, kept: PyTree, cotangents: PyTree, flags: list[bool]) -> list[Any]:
            found, _ = self.pulled(setup, given, kept, cotangents, flags)
            return [None if c is STILL else c for c in jax.tree.leaves(found)]

        (y1, ys), rest = lean.with_pullback(function, kept, pull, given.with_arrays())
        return rest._replace(y1=y1, ys=ys)

    def pulled(
        self, setup: Setup, given: Given, kept: PyTree, cotangents: PyTree, flags: list[bool]
    ) -> tuple[Given, jax.Array]:
        """The cotangents of `given`, and how often the field was evaluated for them."""
        y1, ys, next_step, solution = kept
        dy1, dys = (wide(cotangent) for cotangent in cotangents)
        equation = AdjointEquation(setup, given, flags, largest([*dy1, *dys]))
        given = equation.with_wide_times().given
        first = _first_step(setup, given, next_step)
        zeros = [jnp.zeros_like(p) for p in equation.moving]
        at = Back(given.t1, dy1, zeros, wide(y1), first, jnp.zeros((), jnp.int32))
        at = self._through(equation, solution, at, ys, dys)
        return _cotangents(equation, at, y1, ys, dy1, dys), at.evaluations

    def _through(
        self, equation: AdjointEquation, solution: Any, at: Back, ys: PyTree, dys: Leaves
    ) -> Back:
        """From t1 to t0, with a jump at each wanted time."""
        given = equation.given
        times, jumps = given.t0[None], [jnp.zeros_like(a)[None] for a in at.adjoint]
        states = [u[None] for u in wide(given.u0)]
        if given.ts is not None:
            times = jnp.append(jnp.flip(given.ts), times)
            jumps = _before(dys, jumps)
            states = _before(wide(ys), states)

        def segment(at: Back, row: tuple[jax.Array, Leaves, Leaves]) -> tuple[Back, None]:
            t, jump, u = row
            at = self.back(equation, solution, at, t)
            adjoint = [a + j for a, j in zip(at.adjoint, jump, strict=True)]
            return at._replace(t=t, adjoint=adjoint, u=u), None

        return jax.lax.scan(segment, at, (times, jumps, states))[0]


def _before(rows: Leaves, last: Leaves) -> Leaves:
    """The rows from the last to the first, and then another."""
    pairs = zip(rows, last, strict=True)
    return [jnp.concatenate([jnp.flip(row, 0), end]) for row, end in pairs]


def _parted(found: lean.Solved) -> tuple[PyTree, lean.Solved]:
    """What has derivatives, and the rest."""
    rest = found._replace(y1=None, ys=None, stored=None, lengths=None)
    return (found.y1, found.ys), rest


def _first_step(setup: Setup, given: Given, next_step: jax.Array) -> jax.Array:
    """Of the backward solve: that with which the forward one would have gone on."""
    if isinstance(setup.control, lean.Fixed):
        return jnp.asarray(given.dt0, given.t0.dtype)
    whole = jnp.abs(given.t1 - given.t0)
    next_step = next_step.astype(whole.dtype)
    sound = jnp.isfinite(next_step) & (next_step > 0)
    found = jnp.where(sound, jnp.minimum(next_step, whole), whole)
    return jax.lax.stop_gradient(jnp.where(found > 0, found, 1.0)).astype(given.t0.dtype)


def _cotangents(
    equation: AdjointEquation, at: Back, y1: PyTree, ys: PyTree, dy1: Leaves, dys: Leaves
) -> Given:
    given, moves = equation.given, equation.moves
    nothing = jax.tree.map(lambda _: STILL, given)
    t0, t1, ts = nothing.t0, nothing.t1, nothing.ts
    if moves.t0:
        t0 = -equation.rate(given.t0, given.u0, at.adjoint)
    if moves.t1:
        t1 = equation.rate(given.t1, y1, dy1)
    if moves.ts and given.ts is not None:
        ts = jax.vmap(equation.rate)(given.ts, ys, dys)
    integrals = iter(at.integral)
    args = [next(integrals) if m else STILL for m in equation.arg_flags]
    return nothing._replace(
        t0=t0,
        t1=t1,
        ts=ts,
        u0=jax.tree.unflatten(jax.tree.structure(given.u0), at.adjoint),
        args=jax.tree.unflatten(jax.tree.structure(given.args), args),
    )


def with_integral(tolerances: tuple[list[Any], list[Any]], integral: Leaves) -> tuple[Any, Any]:
    """Tolerances of the adjoint and, the finest of these, of the integral by the arguments."""
    rtol, atol = tolerances
    counted = [(r, a) for r, a in zip(rtol, atol, strict=True) if a is not None]
    finest = [
        jnp.min(jnp.stack([jnp.min(x) for x in values])) for values in zip(*counted, strict=True)
    ]
    return tuple(
        (own, [least for _ in integral]) for own, least in zip(tolerances, finest, strict=True)
    )
