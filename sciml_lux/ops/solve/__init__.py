"""Whole solves of ordinary differential equations, by explicit Runge-Kutta methods."""

from . import tableaus as tableaus
from ._across_batch import any_in_batch as any_in_batch
from ._control import Adaptive as Adaptive
from ._control import Control as Control
from ._control import Fixed as Fixed
from ._dynamic_scan import dynamic_scan as dynamic_scan
from ._ensemble import solve_ensemble as solve_ensemble
from ._estimates import Estimates as Estimates
from ._fine_interpolant import with_fine_interpolant as with_fine_interpolant
from ._interpolation_weights import interpolation_weights as interpolation_weights
from ._loop import DIVERGED as DIVERGED
from ._loop import FIELD_NOT_FINITE as FIELD_NOT_FINITE
from ._loop import MAX_STEPS as MAX_STEPS
from ._loop import NO_STEP as NO_STEP
from ._loop import STATE_NOT_FINITE as STATE_NOT_FINITE
from ._loop import SUCCESSFUL as SUCCESSFUL
from ._own_derivative import with_own_derivative as with_own_derivative
from ._record import record_bytes as record_bytes
from ._solve import Solved as Solved
from ._solve import solve as solve
from ._solve_reversibly import solve_reversibly as solve_reversibly
from ._step import Leaves as Leaves
from ._stored import Stored as Stored
from ._tableau import Arrays as Arrays
from ._tableau import Tableau as Tableau
from ._with_pullback import with_pullback as with_pullback
