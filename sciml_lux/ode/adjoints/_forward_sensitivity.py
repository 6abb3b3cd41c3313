"""ForwardSensitivity: the derivatives by all that moves, solved forwards beside the state."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops import internal as lean
from ...ops.internal import Leaves
from ._adjoint import Adjoint
from ._adjoint_equation import AdjointEquation, wide
from ._given import Given, Setup

STILL = object()
"""In the place of the tangent of what does not move."""


class ForwardSensitivity(Adjoint):
    """Solves the derivatives of the state by all that moves forwards, beside the state.

    The state and its derivatives by n numbers, the initial state and the arguments that move, are
    one solve of n + 1 states; `jax.grad` only multiplies them. It keeps nothing of the way, and is
    best for few numbers, say below a hundred. Derivatives by times are du/dt.

    Steps are chosen by the error of the state, so that the gradient is that of the steps that were
    taken. With `control_error=True` by the errors of the derivatives too, each held to the
    tolerance like the state: then the gradient is that of the equation to the tolerance, and a
    solve that is differentiated takes other steps than one that is not.

    Args:
        control_error: whether the errors of the derivatives are held to the tolerance.

    Source: arXiv 1812.01892.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> method = ode.Method(adjoint=ode.ForwardSensitivity(control_error=True))
        >>> problem = ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 1.0))
        >>> def end(rate):
        ...     return ode.solve(lambda t, u, r: -r * u, problem, rate, method=method).final.u
        >>> print(f"{jax.grad(end)(jnp.float32(1.0)):.4f}")  # -exp(-1)
        -0.3679
    """

    control_error: bool = False

    def __post_init__(self) -> None:
        """Check the switch."""
        if not isinstance(self.control_error, bool):
            raise TypeError(
                "`ForwardSensitivity` expects `control_error` to be True or False, got "
                f"{self.control_error!r}."
            )

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve, with the derivatives that are solved beside it."""
        given = given.with_arrays()
        tree = jax.tree.structure(given)

        def rule(operands: Sequence[Any], tangents: Sequence[Any]) -> tuple[list, list]:
            found, dy1, dys = self._moved(setup, tree.unflatten(operands), tangents)
            still = jax.tree.map(lambda _: STILL, found)._replace(y1=dy1, ys=dys)
            moved = [None if t is STILL else t for t in jax.tree.leaves(still)]
            return jax.tree.leaves(found), moved

        return lean.with_own_derivative(setup.solve, rule, given)

    def _moved(
        self, setup: Setup, given: Given, tangents: Sequence[Any]
    ) -> tuple[lean.Solved, PyTree, PyTree]:
        """The solution, and the tangents of its states."""
        flags = [t is not None for t in tangents]
        equation = AdjointEquation(setup, given, flags, jnp.ones(()))
        tree = jax.tree.structure(given.u0)
        directions = _Directions(equation)
        found = directions.solved(self.control_error)
        (y1, dy1), ys = found.y1, found.ys
        weights = directions.weights(list(itertools.compress(tangents, flags)))
        moved: Given = jax.tree.unflatten(
            jax.tree.structure(given), [STILL if t is None else t for t in tangents]
        )
        dy1 = _contracted(dy1, weights)
        if moved.t1 is not STILL:
            dy1 = _with_time(equation, given.t1, y1, moved.t1, dy1)
        dys = None
        if given.ts is not None:
            ys, dys = ys
            dys = _contracted(dys, weights)
            if moved.ts is not STILL:
                dys = jax.vmap(lambda *row: _with_time(equation, *row))(given.ts, ys, moved.ts, dys)
        states = (y1, dy1, ys, dys)
        y1, dy1, ys, dys = (None if y is None else _rounded(y, given.u0, tree) for y in states)
        y = _rounded(found.y[0], given.u0, tree)
        return found._replace(y1=y1, ys=ys, y=y), dy1, dys


class _Directions:
    """The numbers that move, one direction each: of a complex number, two."""

    def __init__(self, equation: AdjointEquation) -> None:
        given, moves = equation.given, equation.moves
        self.equation = equation
        self.start = wide(given.u0)
        self.moving_start = jax.tree.leaves(moves.u0)
        moving = [u for u, m in zip(self.start, self.moving_start, strict=True) if m]
        self.parts = [*moving, *equation.moving]
        self.with_start_time = bool(moves.t0)
        self.count = sum(_size(x) for x in self.parts) + int(self.with_start_time)

    def weights(self, tangents: Leaves) -> jax.Array:
        """The tangents of the directions, as one vector; of those of `given` that move."""
        moves, given = self.equation.moves, self.equation.given
        named = dict(
            zip([i for i, m in enumerate(jax.tree.leaves(moves)) if m], tangents, strict=True)
        )
        numbers: Given = jax.tree.unflatten(
            jax.tree.structure(given), range(len(jax.tree.leaves(given)))
        )
        places = [*jax.tree.leaves(numbers.u0), *jax.tree.leaves(numbers.args)]
        found = [named[i] for i in places if i in named]
        found += [named[jax.tree.leaves(numbers.t0)[0]]] if self.with_start_time else []
        dtype = jnp.finfo(self.start[0].dtype).dtype
        return jnp.concatenate([_real(x).astype(dtype) for x in found] or [jnp.zeros(0, dtype)])

    def unit(self) -> list[jax.Array]:
        """Of each part, (*shape, count): its tangent in each direction."""
        found, first = [], 0
        for part in self.parts:
            size = _size(part)
            dtype = jnp.finfo(part.dtype).dtype
            rows = jnp.zeros((size, self.count), dtype)
            rows = rows.at[jnp.arange(size), first + jnp.arange(size)].set(1)
            found.append(_of_real(rows, part))
            first += size
        return found

    def solved(self, control_error: bool) -> lean.Solved:
        """The solve of the state and its derivatives."""
        equation, given = self.equation, self.equation.given
        unit = iter(self.unit())
        room = [jnp.zeros((*u.shape, self.count), u.dtype) for u in self.start]
        first = [next(unit) if m else r for m, r in zip(self.moving_start, room, strict=True)]
        if self.with_start_time:
            slope = equation.field(given.t0, self.start, equation.moving)
            first = [d.at[..., -1].set(-f) for d, f in zip(first, slope, strict=True)]
        of_arguments = list(unit)

        def field(t: jax.Array, state: PyTree, _: None) -> PyTree:
            u, du = state
            at = lambda u, p: equation.field(t, u, p)  # noqa: E731

            def along(du: Leaves, dp: Leaves) -> tuple[Leaves, Leaves]:
                return jax.jvp(at, (u, equation.moving), (du, dp))

            slopes, moved = jax.vmap(along, -1, (None, -1), axis_size=self.count)(du, of_arguments)
            return slopes, moved

        rtol, atol = equation.tolerances("rtol"), equation.tolerances("atol")
        none = [None for _ in atol]
        if control_error:
            # The norm is a mean over all, so that each is held to the tolerance by itself.
            share = (self.count + 1) ** -0.5
            rtol = [r * share for r in rtol]
            atol = [None if a is None else a * share for a in atol]
        tolerances = (rtol, rtol), (atol, atol if control_error else none)
        setup = equation.setup._replace(field=field)
        return setup.solve(
            given._replace(
                u0=(self.start, first), args=None, rtol=tolerances[0], atol=tolerances[1]
            )
        )


def _size(part: jax.Array) -> int:
    return part.size * (2 if jnp.iscomplexobj(part) else 1)


def _real(part: jax.Array) -> jax.Array:
    """The numbers of a part, of complex ones first the real parts."""
    flat = part.ravel()
    return jnp.concatenate([flat.real, flat.imag]) if jnp.iscomplexobj(flat) else flat


def _of_real(rows: jax.Array, like: jax.Array) -> jax.Array:
    """The array like `like` whose `_real` these rows are, with an axis of directions."""
    if jnp.iscomplexobj(like):
        real, imaginary = jnp.split(rows, 2)
        rows = jax.lax.complex(real, imaginary)
    return rows.reshape(*like.shape, -1)


def _contracted(moved: Leaves, weights: jax.Array) -> Leaves:
    highest = jax.lax.Precision.HIGHEST
    return [jnp.tensordot(d, weights.astype(d.dtype), 1, precision=highest) for d in moved]


def _with_time(
    equation: AdjointEquation, t: jax.Array, y: Leaves, dt: jax.Array, dy: Leaves
) -> Leaves:
    slope = equation.field(t, y, equation.moving)
    return [d + dt.astype(d.dtype) * f for d, f in zip(dy, slope, strict=True)]


def _rounded(leaves: Leaves, like: PyTree, tree: Any) -> PyTree:
    pairs = zip(leaves, jax.tree.leaves(like), strict=True)
    return tree.unflatten([y.astype(x.dtype) for y, x in pairs])
