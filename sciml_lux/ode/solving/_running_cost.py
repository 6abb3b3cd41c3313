"""The running cost of a solve: an integral beside the state, which its steps do not depend on."""

from typing import Any

import diffrax
from jax.tree_util import Partial
from jaxtyping import Array

from ...core.internal import subject
from ..engines._lean_engine import why_not_lean
from ..equation._solvable import Solvable
from ..equation._with_cost import WithCost
from ..failure._failure import Failure
from ..method._method import plain
from ..solution._solution import Solution


def check_engine(layer: Solvable) -> None:
    """Raise if `layer` has a running cost, and its engine cannot leave it out of the error norm.

    Raises:
        ValueError: names the option that is in the way.
    """
    if layer.running_cost is None or why_not_lean(layer.method) is None:
        return
    method = layer.method
    backsolve = isinstance(plain(method.adjoint), diffrax.BacksolveAdjoint)
    if backsolve or not (method.uses_tolerances or method.has_fixed_steps):
        option = "adjoint" if backsolve else "stepsize_controller"
        found = type(plain(getattr(method, option))).__name__
        raise ValueError(
            f"{subject(layer)} has a `running_cost`, which {option}={found} would have in its "
            f"error norm. Leave out `{option}`."
        )


def apart(solution: Solution, failure: Failure) -> tuple[Solution, Failure]:
    """The solution of the state alone, with the cost beside it, of one of both."""
    if not isinstance(failure.reached, WithCost):
        return solution, failure
    final = solution.final
    between = solution.between
    solution = solution._replace(
        ys=solution.ys.u,
        final=final._replace(u=final.u.u),
        between=None if between is None else Partial(_state_between, between),
        cost=final.u.cost,
    )
    return solution, failure._replace(reached=failure.reached.u)


def _state_between(between: Any, t: Array) -> Any:
    return between(t).u
