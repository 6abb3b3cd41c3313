"""Normalisation of activations and of weights."""

from ._batchnorm import batchnorm as batchnorm
from ._groupnorm import groupnorm as groupnorm
from ._instancenorm import instancenorm as instancenorm
from ._layernorm import layernorm as layernorm
from ._rmsnorm import rmsnorm as rmsnorm
from ._weightnorm import norm_except as norm_except
from ._weightnorm import weightnorm as weightnorm
