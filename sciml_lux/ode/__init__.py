"""Neural differential equations as layers, on an engine of our own and on diffrax."""

from .adjoints import AutoAdjoint as AutoAdjoint
from .adjoints import BacksolveAdjoint as BacksolveAdjoint
from .adjoints import DiscreteAdjoint as DiscreteAdjoint
from .adjoints import ForwardSensitivity as ForwardSensitivity
from .adjoints import GaussAdjoint as GaussAdjoint
from .adjoints import InterpolatingAdjoint as InterpolatingAdjoint
from .adjoints import ReversibleAdjoint as ReversibleAdjoint
from .adjoints import SteadyStateAdjoint as SteadyStateAdjoint
from .layers import UDE as UDE
from .layers import Bounded as Bounded
from .layers import NeuralODE as NeuralODE
from .layers import ODELayer as ODELayer
from .layers import Positive as Positive
from .method import Method as Method
from .method import Vern7 as Vern7
from .method import Vern9 as Vern9
from .problem import Interpolated as Interpolated
from .problem import Problem as Problem
from .problem import Step as Step
from .solution import RESULTS as RESULTS
from .solution import Final as Final
from .solution import Solution as Solution
from .solution import plot_solution as plot_solution
from .solving import adjoint_cost as adjoint_cost
from .solving import solve as solve
