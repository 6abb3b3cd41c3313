"""Activations, gates, the softmax family, and x log x: functions of entries, or of one axis.

An activation is one exact function of an array of any float dtype, which it keeps. On the CPU,
value and derivatives of the first three orders, in every nesting of forward and reverse mode, are
within 4 ulps of the largest term of the sum that the product rule gives, in both tails and at 0,
where they are above 1e-300 in float64 or 1e-32 in float32 (5 ulps for the third derivative of
`gelu_tanh`; `celu` with a = 1).

Where JAX's own derivatives cancel, as 1 - tanh² does, functions have a derivative of their own
(`with_derivative`), made of functions that have theirs (`_exact.py`). In the gradient of a small
tanh network on a CPU, the second exponential that this takes costs about 15 % of the time in
float32 and 25 % in float64, and 40 % more memory for intermediates. `jax.experimental.jet` does not
take such functions.

At huge and infinite inputs value and derivatives are their limits, never NaN. Where two branches
meet, the branch not taken sees a harmless argument: its infinite derivative would turn the gradient
into NaN. Activations pickle.

Source of names and defaults: NNlib.jl, as listed for Lux 1.31.
"""

from ._exponential import celu as celu
from ._exponential import elu as elu
from ._exponential import selu as selu
from ._fast import bias_activation as bias_activation
from ._fast import fast_activation as fast_activation
from ._gated import hardswish as hardswish
from ._gated import lisht as lisht
from ._gated import mish as mish
from ._gated import swish as swish
from ._gates import glu as glu
from ._gates import multigate as multigate
from ._gelu import gelu as gelu
from ._gelu import gelu_erf as gelu_erf
from ._gelu import gelu_sigmoid as gelu_sigmoid
from ._gelu import gelu_tanh as gelu_tanh
from ._piecewise_linear import hardsigmoid as hardsigmoid
from ._piecewise_linear import hardtanh as hardtanh
from ._piecewise_linear import identity as identity
from ._piecewise_linear import leakyrelu as leakyrelu
from ._piecewise_linear import relu as relu
from ._piecewise_linear import relu6 as relu6
from ._piecewise_linear import rrelu as rrelu
from ._piecewise_linear import softshrink as softshrink
from ._piecewise_linear import thresholdrelu as thresholdrelu
from ._piecewise_linear import trelu as trelu
from ._sigmoid import sigmoid as sigmoid
from ._sigmoid import sigmoid_fast as sigmoid_fast
from ._sigmoid import softsign as softsign
from ._sigmoid import tanh as tanh
from ._sigmoid import tanh_fast as tanh_fast
from ._sigmoid import tanhshrink as tanhshrink
from ._softmax import logsoftmax as logsoftmax
from ._softmax import logsumexp as logsumexp
from ._softmax import softmax as softmax
from ._softplus import logcosh as logcosh
from ._softplus import logsigmoid as logsigmoid
from ._softplus import softplus as softplus
from ._xlogx import xlogx as xlogx
from ._xlogx import xlogy as xlogy
