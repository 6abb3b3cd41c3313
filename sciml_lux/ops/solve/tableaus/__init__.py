"""Explicit Runge-Kutta methods as tables of exact coefficients."""

from ._bosh3 import BOSH3 as BOSH3
from ._dopri5 import DOPRI5 as DOPRI5
from ._low_order import EULER as EULER
from ._low_order import HEUN as HEUN
from ._low_order import MIDPOINT as MIDPOINT
from ._low_order import RALSTON as RALSTON
from ._rk4 import RK4 as RK4
from ._tsit5 import TSIT5 as TSIT5
