"""Final: where a solve ended, from which another goes on."""

from typing import Any, NamedTuple

import jax

from ..problem._step import Step


class Final(NamedTuple):
    """Where a solve ended.

    Attributes:
        t: t1, or the time of the event that ended the solve.
        u: the state there.
        next_step: the step that would have come next, for `Problem(final.u, tspan=(final.t, ...),
            first_step=final.next_step)`, which goes on as if there had been no end. None where
            diffrax solved, steps are fixed, or the solve had events.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> def field(t, u, args):
        ...     return -u
        >>> first = ode.solve(field, ode.Problem(jnp.ones((), jnp.float32), tspan=(0.0, 1.0)))
        >>> end = first.final
        >>> rest = ode.Problem(end.u, tspan=(end.t, 2.0), first_step=end.next_step)
        >>> round(float(ode.solve(field, rest).final.u), 4)
        0.1353
    """

    t: jax.Array
    u: Any
    next_step: Step | None = None
