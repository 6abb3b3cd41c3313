"""Differential equations as layers."""

from ._neural_ode import NeuralODE as NeuralODE
from ._ode_layer import ODELayer as ODELayer
from ._physics import Bounded as Bounded
from ._physics import Positive as Positive
from ._ude import UDE as UDE
