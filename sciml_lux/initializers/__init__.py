"""Weight initialisers, `(key, shape, dtype)`.

float16 and bfloat16 get the draws of float32, rounded within the bounds.
"""

from ._fixed import ones16 as ones16
from ._fixed import ones32 as ones32
from ._fixed import ones64 as ones64
from ._fixed import onesC32 as onesC32
from ._fixed import onesC64 as onesC64
from ._fixed import rand16 as rand16
from ._fixed import rand32 as rand32
from ._fixed import rand64 as rand64
from ._fixed import randC32 as randC32
from ._fixed import randC64 as randC64
from ._fixed import randn16 as randn16
from ._fixed import randn32 as randn32
from ._fixed import randn64 as randn64
from ._fixed import randnC32 as randnC32
from ._fixed import randnC64 as randnC64
from ._fixed import zeros16 as zeros16
from ._fixed import zeros32 as zeros32
from ._fixed import zeros64 as zeros64
from ._fixed import zerosC32 as zerosC32
from ._fixed import zerosC64 as zerosC64
from ._identity import identity_init as identity_init
from ._initializer import Initializer as Initializer
from ._initializer import initializer as initializer
from ._normal import glorot_normal as glorot_normal
from ._normal import kaiming_normal as kaiming_normal
from ._normal import normal as normal
from ._normal import truncated_normal as truncated_normal
from ._orthogonal import orthogonal as orthogonal
from ._sparse import sparse_init as sparse_init
from ._uniform import glorot_uniform as glorot_uniform
from ._uniform import kaiming_uniform as kaiming_uniform
from ._uniform import ones as ones
from ._uniform import uniform as uniform
from ._uniform import zeros as zeros
