"""Symplectic solvers, for separable fields."""

from typing import ClassVar

from ...core import StaticValue
from ...ops.internal import LEAPFROG, YOSHIDA4, YOSHIDA6, Composition


class Symplectic(StaticValue):
    """Base of the symplectic solvers; users take one of its subclasses."""

    composition: ClassVar[Composition]


class Leapfrog(Symplectic):
    """The leapfrog method of order 2, q by h/2 dq/dt, p by h dp/dt, and q by h/2 dq/dt.

    It is the position form of Störmer's and Verlet's method. For states that are pairs (q, p), such
    as an `ode.Phase`, with a separable field: dq/dt = f(t, p) and dp/dt = g(t, q). Which of these
    depends on what is read from the program of the field; one that is not separable is refused.

    The map of a step is symplectic where f and g are those of a Hamiltonian T(p) + V(q), and its
    own inverse when time runs backwards. So errors of the energy stay bounded for very long times,
    where those of other methods add up.

    Steps have equal lengths, the longest that are at most `dt0`, up to rounding, and lead from t0
    to t1. A state at a time between is that of a shorter step of the same method, beside the solve:
    the trajectory does not depend on the times at which it is wanted. Sums over the steps are
    compensated for rounding. Derivatives of any order, forward and reverse, are those of the steps;
    a solve remembers no states, and its gradient as many as the root of the number of steps.
    `stats.num_field_evaluations` counts those of dp/dt, one for a leapfrog step; dq/dt is evaluated
    twice.

    There is no `running_cost`, `estimates`, `adjoint` or step control.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> @ode.second_order
        ... def spring(t, q, args):
        ...     return -q
        >>> start = ode.Phase(q=jnp.ones((), jnp.float32), p=jnp.zeros((), jnp.float32))
        >>> problem = ode.Problem(start, tspan=(0.0, 10.0))
        >>> method = ode.Method(solver=ode.Leapfrog(), dt0=0.01)
        >>> end = ode.solve(spring, problem, method=method).final.u
        >>> f"{end.q:.3f} {end.p:.3f}"  # cos(10), -sin(10)
        '-0.839 0.544'
    """

    composition = LEAPFROG


class Yoshida4(Symplectic):
    """Yoshida's method of order 4, of three leapfrog steps; see `Leapfrog`.

    Source:
        Yoshida, Construction of higher order symplectic integrators, Physics Letters A 150 (1990).

    Example:
        >>> from sciml_lux import ode
        >>> ode.Method(solver=ode.Yoshida4(), dt0=0.1).solver
        Yoshida4()
    """

    composition = YOSHIDA4


class Yoshida6(Symplectic):
    """Yoshida's method of order 6, of seven leapfrog steps (his solution A); see `Leapfrog`.

    Source:
        Yoshida, Construction of higher order symplectic integrators, Physics Letters A 150 (1990).

    Example:
        >>> from sciml_lux import ode
        >>> ode.Method(solver=ode.Yoshida6(), dt0=0.1).solver
        Yoshida6()
    """

    composition = YOSHIDA6
