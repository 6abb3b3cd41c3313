"""The engines, each as one value."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ...core import Static
from ...ops import internal as lean
from ._diffrax_crossing import cross_with_diffrax
from ._diffrax_engine import solve_with_diffrax
from ._lean_engine import cross_lean, solve_lean


class Engine(NamedTuple):
    """What solves.

    Attributes:
        solve: the states at times, as `solve_with_diffrax`.
        cross: where conditions are first met, as `cross_with_diffrax`.
        name: of it, for the stats.
        counts_evaluations: whether it counts those of the field.
    """

    solve: Callable[..., Any]
    cross: Callable[..., lean.Crossing]
    name: Static
    counts_evaluations: bool


LEAN = Engine(solve_lean, cross_lean, Static("lean"), True)
DIFFRAX = Engine(solve_with_diffrax, cross_with_diffrax, Static("diffrax"), False)
