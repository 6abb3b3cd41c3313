"""Adjoint: how a solve of the lean engine is differentiated."""

from ...core import StaticValue
from ...ops import internal as lean
from ._given import Given, Setup


class Adjoint(StaticValue):
    """How a solve is differentiated: the base of the values for `Method(adjoint=...)`."""

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve, with the derivatives of this adjoint."""
        raise TypeError(f"`{type(self).__name__}` defines no `solved`. Write one.")

    def why_not(self, setup: Setup, given: Given) -> str | None:
        """What of a solve this adjoint does not have, and the remedy; None where it has all."""
        return None
