"""The states of a model inside a solve: every evaluation reads them, none changes them."""

from collections.abc import Callable
from typing import Any

from ..core import LayerLike, Parameters, States, apply


def with_constant_states(model: LayerLike, ps: Parameters, st: States) -> Callable[[Any], Any]:
    """`model` as a function of its input alone; new states that it returns are dropped.

    A solver evaluates the field at rejected steps too, and in its own order: a state that changed
    with the evaluations would depend on the method.
    """
    return lambda x: apply(model, x, ps, st)[0]
