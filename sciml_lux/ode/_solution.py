"""What a solve returns."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float

from ..core import Record
from ._results import RESULTS


class Solution(NamedTuple):
    """The result of `solve`.

    Attributes:
        ts: (n,) the times of the states, in the real dtype of the state.
        ys: the states, a tree like the initial state with a leading axis of n.
        stats: int32 scalars `num_steps`, `num_accepted_steps`, `num_rejected_steps`; and `engine`,
            `Static("lean")` or `Static("diffrax")`, which solved.
        result: why the solve ended, one of `RESULTS`; `RESULTS[result]` is its text, empty where it
            succeeded.
    """

    ts: Float[Array, " n"]
    ys: Any
    stats: Record
    result: RESULTS
