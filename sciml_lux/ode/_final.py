"""Final: where a solve ended, from which another goes on."""

from typing import Any, NamedTuple

import jax


class Final(NamedTuple):
    """Where a solve ended.

    Attributes:
        t: t1.
        u: the state there.
    """

    t: jax.Array
    u: Any
