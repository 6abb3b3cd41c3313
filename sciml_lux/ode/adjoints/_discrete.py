"""DiscreteAdjoint: the derivative of the steps that were taken."""

from ...ops import internal as lean
from ._adjoint import Adjoint
from ._given import Given, Setup


class DiscreteAdjoint(Adjoint):
    """The derivative of the steps that were taken, their lengths held fixed: what None stands for.

    It has derivatives of any order, in any nesting of forward and reverse mode, of all that a solve
    can return. In reverse mode it keeps at most 128 states, or all where these are at most 128 KiB,
    and takes steps again from there. Where diffrax solves it is `RecursiveCheckpointAdjoint`.

    Source: arXiv 1812.01892; the checkpoints are the library's own.

    Example:
        >>> from sciml_lux import ode
        >>> ode.Method(adjoint=ode.DiscreteAdjoint())
        Method(adjoint=DiscreteAdjoint())
    """

    def solved(self, setup: Setup, given: Given) -> lean.Solved:
        """The solve, with the derivatives of its steps."""
        return setup.solve(given)
