"""The coefficients of a Rosenbrock method: a Runge-Kutta method with a linear system in each stage.

Source of the form: Hairer and Wanner, Solving Ordinary Differential Equations II, IV.7.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from ._coefficients import Row
from ._tableau import Tableau, as_array, as_triangle


@dataclass(frozen=True)
class Rosenbrock(Tableau):
    """A linearly implicit method for M y' = f(t, y), which has one linear system for all stages.

    With J = ∂f/∂y at (t0, y0), where ∂f/∂t is taken too,
    (M/γ - h J) kᵢ = f(t0 + cᵢh, y0 + h Σⱼ aᵢⱼ kⱼ) + M Σⱼ couplingᵢⱼ kⱼ + h dᵢ ∂f/∂t,
    with j < i, and y1 = y0 + h Σᵢ bᵢ kᵢ. The stages kᵢ are not slopes: a, b and the interpolant are
    those of these stages, by which no product with J is needed.

    Args:
        gamma: γ.
        coupling: row i holds the i coefficients left of the diagonal.
        d: weights of ∂f/∂t.
    """

    gamma: Fraction = Fraction(0)
    coupling: tuple[Row, ...] = ()
    d: Row = ()

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def linear(self) -> "Linear":
        """The coefficients of the linear systems, rounded to float64."""
        return Linear(
            float(self.gamma), as_triangle(self.coupling, self.num_stages), as_array(self.d)
        )


@dataclass(frozen=True)
class Linear:
    """What a `Rosenbrock` method has beside a tableau, each number the nearest in float64."""

    gamma: float
    coupling: Float64[np.ndarray, "stages stages"]
    d: Float64[np.ndarray, " stages"]
