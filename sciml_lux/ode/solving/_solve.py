"""solve: an initial-value problem of a function, without a layer."""

from collections.abc import Callable

from jaxtyping import PyTree

from ..events._event import Event, PresetTimes
from ..method._method import Method
from ..problem._problem import Problem
from ..solution._solution import Solution
from ._function import solve_function


def solve(
    field: Callable[..., PyTree],
    problem: Problem,
    args: PyTree = None,
    *,
    method: Method = Method(),  # noqa: B008
    running_cost: Callable[..., PyTree] | None = None,
    events: tuple[Event | PresetTimes, ...] = (),
    max_events: int = 16,
) -> Solution:
    """u with du/dt = field(t, u, args) and u(t0) = u0.

    It is differentiable with respect to `args` and every array of `problem`; by default to any
    order, in forward and reverse mode.

    Outside of `jit` it is compiled as by `jax.jit`, once for a function, a method and each shape:
    what the function closes over is read then, and a function defined anew compiles anew. Pass what
    changes in `args`.

    Args:
        field: the right-hand side, `field(t, u, args) -> du/dt`; `field(t, u, args, inputs)` where
            the problem has inputs, of which `inputs.name(t)` is the one called `name` at t.
        problem: the initial state, with the times at which the state is wanted, or the ends.
        args: what the field gets, a tree of arrays.
        method: how it is solved.
        running_cost: `running_cost(t, u, du, args)`, or with the inputs too, whose integral from t0
            to t1 is `solution.cost`: a number or a tree of arrays. Steps do not depend on it.
        events: what may happen on the way; what did is `solution.events`.
        max_events: how many of them that are not preset may happen before the solve fails. Each has
            room in memory where a derivative is taken.

    Raises:
        TypeError: the state is not floating or has two dtypes, du/dt has another dtype, or `args`
            have a leaf that is not an array.
        ValueError: no times, or times out of order; a state that is not finite; du/dt of another
            shape.
        RuntimeError: the solve failed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> def decay(t, u, rate):
        ...     return -rate * u
        >>> problem = ode.Problem(jnp.ones(1, jnp.float32), tspan=(0.0, 1.0))
        >>> end = lambda rate: ode.solve(decay, problem, rate).ys[-1, 0]
        >>> rate = jnp.float32(2.0)
        >>> round(float(end(rate)), 5), round(float(jax.hessian(end)(rate)), 4)  # exp(-2) twice
        (0.13534, 0.1353)
    """
    return solve_function(
        "ode.solve", field, problem, args, method, running_cost, events, max_events
    )
