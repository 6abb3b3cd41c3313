"""One solve, from its arguments to its solution."""

from ._solve import solve as solve
