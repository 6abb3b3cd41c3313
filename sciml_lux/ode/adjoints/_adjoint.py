"""Adjoint: how a solve of the lean engine is differentiated."""

from ...core import StaticValue
from ...ops import internal as lean
from ._given import Given, Setup


class Adjoint(StaticValue):
    """How a solve is differentiated: the base of the values for `Method(adjoint=...)`."""

    def chosen(self, setup: Setup, given: Given, has_all: bool) -> "Adjoint":
        """The adjoint that differentiates a solve: this one, but of one that chooses another.

        Args:
            setup: what is solved.
            given: with this.
            has_all: whether the solve returns what the discrete adjoint alone can differentiate.
        """
        return self

    def why_not(self, given: Given, has_cost: bool) -> str | None:
        """What of a solve this adjoint does not have; None where it has all.

        Args:
            given: the data of the solve.
            has_cost: whether it has a running cost.
        """
        return None

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve, with the derivatives of this adjoint."""
        raise TypeError(f"`{type(self).__name__}` defines no `solved`. Write one.")
