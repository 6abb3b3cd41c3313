"""WithCost: a state and the integral of the running cost so far, as an engine solves for both."""

from typing import Any, NamedTuple

from jaxtyping import PyTree


class WithCost(NamedTuple):
    """A state, and the running cost up to it.

    Attributes:
        u: the state.
        cost: the integral of the running cost from t0.
    """

    u: Any
    cost: Any


def state_of(value: PyTree) -> Any:
    """The state alone, of a state with or without a cost."""
    return value.u if isinstance(value, WithCost) else value
