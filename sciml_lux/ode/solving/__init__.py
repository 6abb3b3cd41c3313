"""One solve, from its arguments to its solution."""

from ._adjoint_cost import adjoint_cost as adjoint_cost
from ._solve import solve as solve
from ._solve_ensemble import solve_ensemble as solve_ensemble
