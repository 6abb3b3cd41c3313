"""Rosenbrock methods as solvers of diffrax, where the lean engine does not solve."""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops.internal import Tableau, all_stages, tableaus
from ...precision import accumulated
from ._verner import Interpolation, Time, moved


class _Interpolation5(Interpolation):
    source = tableaus.RODAS5P


class Rodas5P(diffrax.AbstractAdaptiveSolver):
    """Steinebach's Rosenbrock method of orders 5 and 4, for stiff problems; a solver of diffrax.

    A step evaluates the field eight times, takes its derivative by the state and the time once, and
    solves eight linear systems with one matrix: there is no iteration that could fail. It is
    L-stable, and inside steps of order 4. The lean engine has it, with derivatives of any order.

    The matrix is dense, with a row for each number of the state, all samples of a batch together,
    and for a complex one two: it is for states of up to a few hundred numbers. Solve a batch by
    `jax.vmap` or `ode.solve_ensemble`, where each has its own. `num_field_evaluations` counts the
    evaluations without those for the derivative. Errors of the derivative cost order, so solve in
    float64; a field with jumps, or without a derivative, has no use for this method.

    Source:
        Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within
        the Julia Differential Equations package, BIT Numerical Mathematics 63 (2023).

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> problem = ode.Problem(jnp.zeros(1, jnp.float32), tspan=(0.0, 1.5))
        >>> def towards_the_cosine(t, u, rate):
        ...     return -rate * (u - jnp.cos(t))
        >>> method = ode.Method(solver=ode.Rodas5P())
        >>> end = ode.solve(towards_the_cosine, problem, jnp.float32(1e4), method=method)
        >>> print(f"{end.final.u[0]:.4f}")  # cos 1.5 + 1e-4 sin 1.5
        0.0708
    """

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., _Interpolation5]] = _Interpolation5
    source: ClassVar[Tableau] = tableaus.RODAS5P

    def order(self, terms: PyTree) -> int:
        """The order of the solution."""
        return self.source.order

    def init(self, terms: PyTree, t0: Time, t1: Time, y0: PyTree, args: PyTree) -> None:
        """It has no state."""

    def step(
        self,
        terms: diffrax.AbstractTerm,
        t0: Time,
        t1: Time,
        y0: PyTree,
        args: PyTree,
        solver_state: None,
        made_jump: Any,
    ) -> Any:
        """One step, with its stages in its dense information."""
        control, (leaves, tree) = terms.contr(t0, t1), jax.tree.flatten(y0)

        # In the time from 0 to 1 of the step, whose direction diffrax has in `control`.
        def slope(s: jax.Array, wide: list[jax.Array]) -> list[jax.Array]:
            y = [w.astype(leaf.dtype) for w, leaf in zip(wide, leaves, strict=True)]
            found = terms.vf_prod(t0 + s * (t1 - t0), tree.unflatten(y), args, control)
            return [accumulated(du) for du in jax.tree.leaves(found)]

        one = jnp.ones_like(jnp.asarray(t1 - t0))
        wide = [accumulated(leaf) for leaf in leaves]
        stages = all_stages(self.source, slope, jnp.zeros_like(one), one, wide)
        k = [rows.astype(leaf.dtype) for rows, leaf in zip(stages, leaves, strict=True)]
        k = tree.unflatten(k)
        y1 = moved(y0, self.source.float64.b, k)
        error = jax.tree.map(lambda rows: rows[-1], k)  # The last stage is the estimate.
        return y1, error, {"y0": y0, "y1": y1, "k": k}, None, diffrax.RESULTS.successful

    def func(self, terms: diffrax.AbstractTerm, t0: Time, y0: PyTree, args: PyTree) -> Any:
        """The field."""
        return terms.vf(t0, y0, args)
