"""Symplectic methods for separable fields: the state is a pair, and each half moves the other."""

from ._composition import LEAPFROG as LEAPFROG
from ._composition import YOSHIDA4 as YOSHIDA4
from ._composition import YOSHIDA6 as YOSHIDA6
from ._composition import Composition as Composition
from ._solve_symplectic import SolvedSymplectic as SolvedSymplectic
from ._solve_symplectic import solve_symplectic as solve_symplectic
