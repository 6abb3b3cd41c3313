"""GaussAdjoint: the adjoint alone backwards, and the integral by the parameters beside it."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...ops import internal as lean
from ...ops.internal import Leaves, Stored
from ._adjoint_equation import AdjointEquation
from ._continuous import Back, ContinuousAdjoint


class GaussAdjoint(ContinuousAdjoint):
    """Solves the adjoint equation backwards, with the integral by the parameters by Gauss nodes.

    The state of the backward solve is the adjoint alone: the stages of a Runge-Kutta step are never
    of the size of the parameters. The integral over each of its steps is by Gauss-Legendre nodes,
    as many as its order asks for, added to one accumulator. u(t) is read from the forward solve as
    in `InterpolatingAdjoint`, and the adjoint from the backward one. The tolerance holds the error
    of the adjoint; that of the integral is of the same size, and is not estimated.

    Args:
        rtol: relative tolerance of the backward solve; None for that of the solve.
        atol: absolute tolerance, in units of the largest cotangent; None for that of the solve.

    Source: `GaussAdjoint` of SciMLSensitivity.jl.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> method = ode.Method(adjoint=ode.GaussAdjoint())
        >>> problem = ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 1.0))
        >>> def end(rate):
        ...     return ode.solve(lambda t, u, r: -r * u, problem, rate, method=method).final.u
        >>> print(f"{jax.grad(end)(jnp.float32(1.0)):.4f}")  # -exp(-1)
        -0.3679
    """

    def back(self, equation: AdjointEquation, solution: Stored, at: Back, t: jax.Array) -> Back:
        """From `at` to the time t, without the jump there."""
        wants = bool(at.integral)

        def field(t: jax.Array, adjoint: Leaves, args: None) -> Leaves:
            products, _unused = equation.products(t, solution.at(t), adjoint)
            return [-product for product in products]

        found, dt0 = equation.solve(
            field, (at.t, t), at.adjoint, self.tolerances(equation), at.dt0, stores=wants
        )
        count = at.evaluations + found.num_evaluations
        at = at._replace(adjoint=found.y1, dt0=dt0)
        if found.stored is None:
            return at._replace(evaluations=count)
        tableau = equation.setup.tableau
        nodes = tableau.order // 2 + 1
        count += found.num_accepted * (nodes + len(tableau.float64.p))
        integral = _added(equation, solution, found.stored, nodes, at.integral)
        # The steps of a solve that failed have an integral, of a part of the way.
        valid = jnp.where(found.result == lean.SUCCESSFUL, 1.0, jnp.nan)
        integral = [i * valid.astype(i.dtype) for i in integral]
        return at._replace(integral=integral, evaluations=count)


def _added(
    equation: AdjointEquation, solution: Stored, adjoint: Stored, nodes: int, integral: Leaves
) -> Leaves:
    """`integral` with that over the steps of the backward solve."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    dtype = adjoint.span.dtype
    rows = jnp.asarray((places + 1) / 2, dtype), jnp.asarray(weights / 2, dtype)

    def step(constants: PyTree, row: jax.Array, integral: Leaves) -> tuple[Leaves, tuple[()]]:
        solution, adjoint = constants
        start, length = adjoint.starts[row], adjoint.lengths[row]

        def node(integral: Leaves, place: tuple[jax.Array, jax.Array]) -> tuple[Leaves, None]:
            theta, weight = place
            t = adjoint.t0 + (start + theta * length) * adjoint.span
            _, rate = equation.products(t, solution.at(t), adjoint.inside(row, theta))
            h = -weight * length * adjoint.span  # Backwards.
            added = [i + h.astype(r.dtype) * r for i, r in zip(integral, rate, strict=True)]
            return added, None

        return jax.lax.scan(node, integral, rows)[0], ()

    count = len(adjoint.starts)
    steps = np.arange(count, dtype=np.int32)
    found, _ = lean.dynamic_scan(
        step, adjoint.steps, (solution, adjoint), steps, integral, length=count
    )
    return found
