"""How it is solved: options, and solvers that diffrax lacks."""

from ._method import Method as Method
from ._rosenbrock import Rodas5P as Rodas5P
from ._symplectic import Leapfrog as Leapfrog
from ._symplectic import Yoshida4 as Yoshida4
from ._symplectic import Yoshida6 as Yoshida6
from ._verner import Vern7 as Vern7
from ._verner import Vern9 as Vern9
