"""How it is solved: options, and solvers that diffrax lacks."""

from ._method import Method as Method
from ._verner import Vern7 as Vern7
from ._verner import Vern9 as Vern9
