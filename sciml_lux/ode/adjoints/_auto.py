"""AutoAdjoint: the adjoint by what is known before a solve."""

from typing import Any

from ...core.internal import check_integer
from ...ops import internal as lean
from ._adjoint import Adjoint
from ._discrete import DiscreteAdjoint
from ._given import Given, Setup
from ._reversible import ReversibleAdjoint


class AutoAdjoint(Adjoint):
    """Chooses the adjoint by what is known before the solve; `adjoint="auto"` is `AutoAdjoint()`.

    The rule, of which the first line that applies counts:

    1. Where diffrax solves (implicit solvers, other controllers): `RecursiveCheckpointAdjoint`.
    2. With `dense=True` or `estimates=True`, which it alone has: `DiscreteAdjoint`.
    3. Where the record of the discrete adjoint, which follows from the size of the state and
       `max_steps`, is at most `memory` bytes: `DiscreteAdjoint`.
    4. With `Rodas5P`, whose steps cannot be undone: `DiscreteAdjoint`.
    5. Else `ReversibleAdjoint`, which keeps no states.

    `stats.adjoint` of the solution says which it was. The record of a solve inside `jax.vmap` is
    that of one member, and is there once for each.

    Args:
        memory: the largest record, in bytes.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> problem = ode.Problem(jnp.ones(8, jnp.float32), tspan=(0.0, 1.0))
        >>> for memory in (2**30, 2**10):
        ...     method = ode.Method(adjoint=ode.AutoAdjoint(memory))
        ...     print(ode.solve(lambda t, u, args: -u, problem, method=method).stats.adjoint.value)
        DiscreteAdjoint
        ReversibleAdjoint
    """

    memory: int = 2**30

    def __post_init__(self) -> None:
        """Check the budget."""
        check_integer("AutoAdjoint", "memory", self.memory, least=1)

    def chosen(self, setup: Setup, given: Given, has_all: bool) -> Adjoint:
        """The adjoint by the rule."""
        has_all = has_all or isinstance(setup.tableau, lean.Rosenbrock)
        if has_all or lean.record_bytes(setup.max_steps, given.t0, given.u0) <= self.memory:
            return DiscreteAdjoint()
        return ReversibleAdjoint()


def named(adjoint: Any) -> Any:
    """The adjoint that a string names; anything else is itself."""
    return AutoAdjoint() if isinstance(adjoint, str) and adjoint == "auto" else adjoint
