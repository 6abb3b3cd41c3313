"""What a model's states mean inside a solve: they are read at every evaluation, never changed."""

from collections.abc import Callable
from typing import Any

from ..core import apply


def with_constant_states(model: Any, ps: Any, st: Any) -> Callable[[Any], Any]:
    """`model` as a function of its input alone; a change of its states is dropped.

    A solver evaluates a field at trial steps too, in an order of its own, so that a state which
    followed the evaluations would depend on the method.
    """
    return lambda x: apply(model, x, ps, st)[0]
