"""Symmetric compositions of leapfrog steps."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Composition:
    """A step of h made of leapfrog steps of w₁h, w₂h, ...

    Args:
        name: of the method.
        order: of the solution.
        weights: w₁, w₂, ...; their sum is 1.
    """

    name: str
    order: int
    weights: tuple[float, ...]

    @property
    def number(self) -> int:
        """How many leapfrog steps a step is made of."""
        return len(self.weights)

    @property
    def starts(self) -> np.ndarray:
        """Where in the step each of them starts."""
        return np.cumsum([0.0, *self.weights[:-1]])


LEAPFROG = Composition("Leapfrog", 2, (1.0,))

# Yoshida, Construction of higher order symplectic integrators, Physics Letters A 150 (1990):
# 1 / (2 - 2^(1/3)) twice, and what is left of 1 between.
_OUTER, _INNER = 1.35120719195965763404769, -1.70241438391931526809538
YOSHIDA4 = Composition("Yoshida4", 4, (_OUTER, _INNER, _OUTER))

# Solution A of table 1 there; digits as in Hairer, Lubich and Wanner, Geometric Numerical
# Integration, V.3.2. The tests solve the order conditions for them.
_FIRST, _SECOND, _THIRD, _MIDDLE = (
    0.784513610477557263819498,
    0.235573213359358133684793,
    -1.17767998417887100694642,
    1.31518632068391121888425,
)
YOSHIDA6 = Composition("Yoshida6", 6, (_FIRST, _SECOND, _THIRD, _MIDDLE, _THIRD, _SECOND, _FIRST))
