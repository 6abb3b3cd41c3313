"""Verner's methods as solvers of diffrax."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Real

from ...ops.internal import Arrays, Tableau, interpolation_weights, tableaus

Time: TypeAlias = float | Array | np.ndarray


def _butcher(tableau: Tableau) -> diffrax.ButcherTableau:
    """The tableau as diffrax writes it, without the extra stages of the interpolant."""
    arrays = tableau.float64
    lower = tuple(arrays.a[i, :i] for i in range(1, tableau.num_stages))
    error = np.zeros_like(arrays.b) if arrays.b_error is None else arrays.b_error
    return diffrax.ButcherTableau(arrays.c[1:], arrays.b, error, lower)


class Interpolation(diffrax.AbstractLocalInterpolation):
    """The solution inside a step, from all of its stages."""

    source: ClassVar[Tableau]
    t0: Any
    t1: Any
    y0: PyTree[Array]
    k: PyTree[Array]

    def __init__(self, *, t0: Time, t1: Time, y0: PyTree, y1: PyTree, k: PyTree) -> None:
        self.t0, self.t1, self.y0, self.k = t0, t1, y0, k

    def evaluate(self, t0: Time, t1: Time | None = None, left: bool = True) -> PyTree[Array]:
        """y(t0), or where `t1` is given, y(t1) - y(t0)."""
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        weights = interpolation_weights(self.source.float64.chebyshev, self._theta(t0))
        return moved(self.y0, weights, self.k)

    def _theta(self, t: Time) -> Real[Array, ""]:
        span, since = jnp.asarray(self.t1 - self.t0), jnp.asarray(t - self.t0)
        nothing = span == 0  # A step without length has gradients of zero, not NaN.
        return jnp.where(nothing, 0, since) / jnp.where(nothing, 1, span)


class _Interpolation7(Interpolation):
    source = tableaus.VERN7


class _Interpolation9(Interpolation):
    source = tableaus.VERN9


class _Verner(diffrax.AbstractERK):
    """Adds the extra stages of the interpolant to each step.

    Where a solve saves its end alone they have no use, and are compiled away.
    """

    source: ClassVar[Tableau]

    def order(self, terms: PyTree) -> int:
        """The order of the solution."""
        return self.source.order

    def step(
        self,
        terms: diffrax.AbstractTerm,
        t0: Time,
        t1: Time,
        y0: PyTree,
        args: PyTree,
        solver_state: PyTree,
        made_jump: bool | Array | np.ndarray,
    ) -> Any:
        """One step, with the stages of the interpolant in its dense information."""
        y1, error, dense, state, result = super().step(
            terms, t0, t1, y0, args, solver_state, made_jump
        )
        control = terms.contr(t0, t1)

        def slope(t: Time, y: PyTree) -> Any:
            return terms.vf_prod(t, y, args, control)

        k = _with_extra_stages(self.source.float64, slope, t0, t1, y0, dense["k"])
        return y1, error, {**dense, "k": k}, state, result


class Vern7(_Verner):
    """Verner's "most efficient" pair of orders 7 and 6, a solver of diffrax.

    Ten evaluations of the field in a step, and five more where the solution is wanted inside steps
    (times to save, dense output, events); it is as exact there as at their ends.

    Source:
        Verner, Numerically optimal Runge-Kutta pairs with interpolants, Numerical Algorithms 53
        (2010).

    Example:
        >>> import jax.numpy as jnp
        >>> term = diffrax.ODETerm(lambda t, y, args: -y)
        >>> found = diffrax.diffeqsolve(term, Vern7(), 0.0, 1.0, 0.25, jnp.ones(()))
        >>> print(f"{found.ys[-1]:.5f}")
        0.36788
    """

    source = tableaus.VERN7
    tableau = _butcher(tableaus.VERN7)
    interpolation_cls = _Interpolation7


class Vern9(_Verner):
    """Verner's "most efficient" pair of orders 9 and 8, a solver of diffrax.

    Sixteen evaluations of the field in a step, and nine more where the solution is wanted inside
    steps (times to save, dense output, events); it is as exact there as at their ends.

    Source:
        Verner, Numerically optimal Runge-Kutta pairs with interpolants, Numerical Algorithms 53
        (2010).

    Example:
        >>> import jax.numpy as jnp
        >>> term = diffrax.ODETerm(lambda t, y, args: -y)
        >>> found = diffrax.diffeqsolve(term, Vern9(), 0.0, 1.0, 0.5, jnp.ones(()))
        >>> print(f"{found.ys[-1]:.5f}")
        0.36788
    """

    source = tableaus.VERN9
    tableau = _butcher(tableaus.VERN9)
    interpolation_cls = _Interpolation9


def _with_extra_stages(
    arrays: Arrays, slope: Callable, t0: Time, t1: Time, y0: PyTree, k: PyTree[Array]
) -> PyTree[Array]:
    """`k` and the extra stages behind it, each from those before."""
    extra, stages = len(arrays.extra_c), len(arrays.c)
    nodes = jnp.asarray(arrays.extra_c, jnp.result_type(t0, t1))

    def add(k: PyTree[Array], stage: tuple) -> tuple[PyTree[Array], None]:
        i, node, row = stage
        new = slope(t0 + node * (t1 - t0), moved(y0, row, k))
        return jax.tree.map(lambda all, one: all.at[i].set(one), k, new), None

    room = jax.tree.map(lambda x: jnp.pad(x, [(0, extra)] + [(0, 0)] * (x.ndim - 1)), k)
    rows = jnp.asarray(arrays.extra_a, nodes.dtype)
    return jax.lax.scan(add, room, (jnp.arange(stages, stages + extra), nodes, rows))[0]


def moved(y0: PyTree[Array], weights: Array | np.ndarray, k: PyTree[Array]) -> PyTree[Array]:
    """y0 + Σᵢ weightsᵢ kᵢ, in the dtype of each leaf."""

    def leaf(y: Array, stages: Array) -> Array:
        own = jnp.asarray(weights, stages.dtype)
        return y + jnp.tensordot(own, stages, axes=1, precision=jax.lax.Precision.HIGHEST)

    return jax.tree.map(leaf, y0, k)
