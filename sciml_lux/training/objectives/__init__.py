"""What is minimised: objectives, and what they return beside their loss."""

from ._least_squares import LeastSquares as LeastSquares
