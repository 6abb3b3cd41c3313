"""InterpolatingAdjoint: the adjoint equation, with the state read from the forward solve."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...ops.internal import Stored
from ._adjoint_equation import AdjointEquation
from ._continuous import Back, ContinuousAdjoint, with_integral


class InterpolatingAdjoint(ContinuousAdjoint):
    """Solves the adjoint equation and the integral by the parameters backwards, in one state.

    u(t) is read from the forward solve, which is remembered between its steps: (d + 1) max_steps
    states, with the degree d of the interpolant. The error of both the adjoint and the integral is
    held to the tolerance, so that the gradient is that of the equation to the tolerance, and not of
    the steps. With many parameters `GaussAdjoint` is cheaper.

    Args:
        rtol: relative tolerance of the backward solve; None for that of the solve.
        atol: absolute tolerance, in units of the largest cotangent; None for that of the solve.

    Source: `InterpolatingAdjoint` of SciMLSensitivity.jl.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> method = ode.Method(adjoint=ode.InterpolatingAdjoint())
        >>> problem = ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 1.0))
        >>> def end(rate):
        ...     return ode.solve(lambda t, u, r: -r * u, problem, rate, method=method).final.u
        >>> print(f"{jax.grad(end)(jnp.float32(1.0)):.4f}")  # -exp(-1)
        -0.3679
    """

    def back(self, equation: AdjointEquation, solution: Stored, at: Back, t: jax.Array) -> Back:
        """From `at` to the time t, without the jump there."""

        def field(t: jax.Array, state: PyTree, _: None) -> PyTree:
            products = equation.products(t, solution.at(t), state[0])
            return jax.tree.map(jnp.negative, products)

        tolerances = with_integral(self.tolerances(equation), at.integral)
        state = (at.adjoint, at.integral)
        found, dt0 = equation.solve(field, (at.t, t), state, tolerances, at.dt0)
        count = at.evaluations + found.num_evaluations
        return at._replace(adjoint=found.y1[0], integral=found.y1[1], dt0=dt0, evaluations=count)
