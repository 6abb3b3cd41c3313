"""Weight initialisers, `(key, shape, dtype)`."""

from ._initializer import Initializer as Initializer
from ._initializer import initializer as initializer
from ._uniform import glorot_uniform as glorot_uniform
from ._uniform import kaiming_uniform as kaiming_uniform
from ._uniform import ones as ones
from ._uniform import uniform as uniform
from ._uniform import zeros as zeros
