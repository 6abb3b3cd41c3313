"""What is known of a solve at its end."""

from typing import NamedTuple

import jax

from ..steps._control import Errors
from ..steps._record import Record
from ..steps._step import Leaves
from ._sight import Seen


class Tried(NamedTuple):
    """What a solve has tried, and would try next.

    Attributes:
        steps: all of them.
        evaluations: of the field.
        first: the first accepted step, as a part of t1 - t0; 0 where there is none.
        following: the next step, as such a part.
        errors: of the steps before that.
    """

    steps: jax.Array
    evaluations: jax.Array
    first: jax.Array
    following: jax.Array
    errors: Errors


class Ended(NamedTuple):
    """The end of the loop.

    Attributes:
        s: the fraction of t1 - t0 that is done.
        y: the state.
        ys: the wanted states; the last row is none of them.
        accepted: steps.
        tried: what it has tried, and would try next.
        result: why it ended.
        record: of the steps; None where it is not wanted.
        seen: of conditions that are watched; None without them.
    """

    s: jax.Array
    y: Leaves
    ys: Leaves
    accepted: jax.Array
    tried: Tried
    result: jax.Array
    record: Record | None
    seen: Seen | None = None
