"""BacksolveAdjoint: the adjoint equation, with the state solved backwards beside it."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ._adjoint_equation import AdjointEquation
from ._continuous import Back, ContinuousAdjoint, with_integral


class BacksolveAdjoint(ContinuousAdjoint):
    """Solves the state, the adjoint and the integral by the parameters backwards, in one state.

    Nothing is kept of the forward solve but the states at wanted times, from which the state is
    solved back. That is unstable where the equation forgets its start, as stiff ones do: its
    errors grow on the way back, and no tolerance tells. Prefer `ReversibleAdjoint`, which needs as
    little memory, where the time from one wanted time to the next is long.

    Args:
        rtol: relative tolerance of the backward solve; None for that of the solve.
        atol: absolute tolerance, of the adjoint in units of the largest cotangent; None for that of
            the solve.

    Source: Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations (2018).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> method = ode.Method(adjoint=ode.BacksolveAdjoint())
        >>> problem = ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 1.0))
        >>> def end(rate):
        ...     return ode.solve(lambda t, u, r: -r * u, problem, rate, method=method).final.u
        >>> print(f"{jax.grad(end)(jnp.float32(1.0)):.4f}")  # -exp(-1)
        -0.3679
    """

    keeps_solution: ClassVar[bool] = False

    def back(self, equation: AdjointEquation, solution: None, at: Back, t: jax.Array) -> Back:
        """From `at` to the time t, without the jump there."""

        def field(t: jax.Array, state: PyTree, _: None) -> PyTree:
            u, adjoint, _ = state
            slope, *products = equation.with_slope(t, u, adjoint)
            return slope, *jax.tree.map(jnp.negative, products)

        scaled = with_integral(self.tolerances(equation), at.integral)
        rtol, atol = equation.tolerances("rtol"), equation.tolerances("atol")
        own: tuple[Any, Any] = self._own(rtol, self.rtol), self._own(atol, self.atol)
        tolerances = ((own[0], *scaled[0]), (own[1], *scaled[1]))
        state = (at.u, at.adjoint, at.integral)
        found, dt0 = equation.solve(field, (at.t, t), state, tolerances, at.dt0)
        u, adjoint, integral = found.y1
        count = at.evaluations + found.num_evaluations
        return Back(t, adjoint, integral, u, dt0, count)

    def _own(self, given: list[Any], mine: float | None) -> list[Any]:
        """Tolerances of the state: outside of the norm stays outside."""
        return [g if g is None or mine is None else mine for g in given]
