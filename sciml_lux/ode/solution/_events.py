"""Events: what happened in a solve."""

from typing import Any, NamedTuple

import jax


class Events(NamedTuple):
    """What happened in a solve, in order; with derivatives.

    There are m rows, one more than `max_events` and the preset times together, or one where all
    that can happen is an end. Only the first `count` of them happened. The others have the time and
    the states of the end, so that a loss may mask them, and `which` is -1.

    Attributes:
        times: (m,) when.
        which: (m,) int32, the place of the event among those that the solve was given.
        before: the states just before, a tree like the state with a leading axis of m.
        after: the states just after, changed by the `affect`; the same where there is none.
        count: int32, how many happened.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> def field(t, u, args):
        ...     return jnp.ones_like(u)
        >>> full = ode.Event(lambda t, u, args: u - 1, lambda t, u, args: u - 1)
        >>> problem = ode.Problem(jnp.zeros((), jnp.float32), tspan=(0.0, 2.5))
        >>> happened = ode.solve(field, problem, events=(full,)).events
        >>> int(happened.count), [round(float(t), 3) for t in happened.times[:2]]
        (2, [1.0, 2.0])
    """

    times: jax.Array
    which: jax.Array
    before: Any
    after: Any
    count: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]
