"""Neural differential equations as layers, on an engine of our own and on diffrax."""

from ._final import Final as Final
from ._interpolated import Interpolated as Interpolated
from ._method import Method as Method
from ._neural_ode import NeuralODE as NeuralODE
from ._ode_layer import ODELayer as ODELayer
from ._physics import Bounded as Bounded
from ._physics import Positive as Positive
from ._plot_solution import plot_solution as plot_solution
from ._problem import Problem as Problem
from ._results import RESULTS as RESULTS
from ._solution import Solution as Solution
from ._solve import solve as solve
from ._step import Step as Step
from ._ude import UDE as UDE
from ._verner import Vern7 as Vern7
from ._verner import Vern9 as Vern9
