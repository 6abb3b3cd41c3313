"""SteadyStateAdjoint: the derivative of a steady state, by the implicit function theorem."""

import jax
import jax.numpy as jnp
import optimistix
from jaxtyping import PyTree

from ...core.internal import check_number
from ...ops import internal as lean
from ...ops.internal import Leaves
from ._adjoint import Adjoint
from ._adjoint_equation import wide
from ._given import Given, Setup

NOT_STEADY = 100
"""The result of a solve that does not end at a root of the field."""


class SteadyStateAdjoint(Adjoint):
    """Takes the state at t1 for a root of the field, and differentiates the root.

    The state at t1 is where Newton's method begins; what it finds is the state at t1 of the
    solution, with the derivatives of the root by the arguments, of every order, by the implicit
    function theorem. It does not depend on the initial state or the times. The cost and the memory
    are those of a linear system of the size of the state, all samples together, whatever the
    number of steps.

    A solve that does not end near a root fails: its result is `RESULTS.not_steady`.

    Args:
        tolerance: how far from the root the state at t1 may be, relative to the largest component
            of the state on the way.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> method = ode.Method(adjoint=ode.SteadyStateAdjoint())
        >>> problem = ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 20.0))
        >>> def end(a):
        ...     return ode.solve(lambda t, u, a: a - u * u, problem, a, method=method).final.u
        >>> print(f"{jax.grad(end)(jnp.float32(4.0)):.4f}")  # of √a
        0.2500
    """

    tolerance: float = 0.01

    def __post_init__(self) -> None:
        """Check the tolerance."""
        check_number("SteadyStateAdjoint", "tolerance", self.tolerance, above=0)

    def why_not(self, given: Given, has_cost: bool) -> str | None:
        """What of a solve this adjoint does not have."""
        if given.ts is not None:
            return "wanted times"
        if has_cost:
            return "a running cost"
        if any(jnp.iscomplexobj(u) for u in jax.tree.leaves(given.u0)):
            return "a complex state"
        return None

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve to a root of the field, with the derivatives of the root."""
        found = setup.solve(jax.lax.stop_gradient(given))
        leaves, tree = jax.tree.flatten(found.y1)

        def field(u: Leaves, args: PyTree) -> Leaves:
            state = [v.astype(x.dtype) for v, x in zip(u, leaves, strict=True)]
            return wide(setup.field(jax.lax.stop_gradient(given.t1), tree.unflatten(state), args))

        start = wide(found.y1)
        precision = 10 * max(float(jnp.finfo(u.dtype).eps) for u in start)
        root = optimistix.root_find(
            field,
            optimistix.Newton(rtol=precision, atol=precision),
            start,
            args=given.args,
            throw=False,
        )
        size = jnp.maximum(_largest(wide(given.u0)), _largest(start))
        away = _largest([a - b for a, b in zip(root.value, start, strict=True)])
        is_steady = (root.result == optimistix.RESULTS.successful) & (away <= self.tolerance * size)
        failed = (found.result == lean.SUCCESSFUL) & ~is_steady
        y1 = [v.astype(x.dtype) for v, x in zip(root.value, leaves, strict=True)]
        result = jnp.where(failed, NOT_STEADY, found.result).astype(found.result.dtype)
        return found._replace(y1=tree.unflatten(y1), result=result)


def _largest(leaves: Leaves) -> jax.Array:
    found = jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]).max()
    return jax.lax.stop_gradient(found)
