"""The engines, each as one value."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ...core import Static
from ...ops import internal as lean
from ._diffrax_crossing import cross_with_diffrax
from ._diffrax_engine import diffrax_adjoint, solve_with_diffrax
from ._lean_engine import cross_lean, lean_adjoint, solve_lean
from ._symplectic_engine import solve_symplectic


class Engine(NamedTuple):
    """What solves.

    Attributes:
        solve: the states at times, as `solve_with_diffrax`.
        cross: where conditions are first met, as `cross_with_diffrax`; None where it has no events.
        adjoint: what differentiates a solve, as `diffrax_adjoint`; None where it has no events.
        name: of it, for the stats.
        counts_evaluations: whether it counts those of the field.
        of_member: more arguments of `solve`, for one solve of an ensemble.
    """

    solve: Callable[..., Any]
    cross: Callable[..., lean.Crossing] | None
    adjoint: Callable[..., Any] | None
    name: Static
    counts_evaluations: bool
    of_member: Mapping[str, bool] = MappingProxyType({})


LEAN = Engine(solve_lean, cross_lean, lean_adjoint, Static("lean"), True, {"is_member": True})
SYMPLECTIC = Engine(solve_symplectic, None, None, Static("symplectic"), True)
DIFFRAX = Engine(solve_with_diffrax, cross_with_diffrax, diffrax_adjoint, Static("diffrax"), False)
