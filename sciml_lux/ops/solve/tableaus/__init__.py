"""Runge-Kutta and Rosenbrock methods as tables of exact coefficients."""

from ._bosh3 import BOSH3 as BOSH3
from ._dopri5 import DOPRI5 as DOPRI5
from ._dopri8 import DOPRI8 as DOPRI8
from ._low_order import EULER as EULER
from ._low_order import HEUN as HEUN
from ._low_order import MIDPOINT as MIDPOINT
from ._low_order import RALSTON as RALSTON
from ._rk4 import RK4 as RK4
from ._rodas5p import RODAS5P as RODAS5P
from ._tsit5 import TSIT5 as TSIT5
from ._vern7 import VERN7 as VERN7
from ._vern9 import VERN9 as VERN9
