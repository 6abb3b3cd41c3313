"""Final: where a solve ended, from which another goes on."""

from typing import Any, NamedTuple

import jax

from ._step import Step


class Final(NamedTuple):
    """Where a solve ended.

    Attributes:
        t: t1.
        u: the state there.
        next_step: the step that would have come next, for `Problem(final.u, tspan=(final.t, ...),
            first_step=final.next_step)`, which goes on as if there had been no end. None where
            diffrax solved, or steps are fixed.
    """

    t: jax.Array
    u: Any
    next_step: Step | None = None
