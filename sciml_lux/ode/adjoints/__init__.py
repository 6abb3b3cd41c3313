"""How solves are differentiated: values for `Method(adjoint=...)`."""

from ._auto import AutoAdjoint as AutoAdjoint
from ._backsolve import BacksolveAdjoint as BacksolveAdjoint
from ._discrete import DiscreteAdjoint as DiscreteAdjoint
from ._forward_sensitivity import ForwardSensitivity as ForwardSensitivity
from ._gauss import GaussAdjoint as GaussAdjoint
from ._interpolating import InterpolatingAdjoint as InterpolatingAdjoint
from ._reversible import ReversibleAdjoint as ReversibleAdjoint
from ._steady_state import SteadyStateAdjoint as SteadyStateAdjoint
