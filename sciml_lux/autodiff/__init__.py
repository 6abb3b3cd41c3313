"""Derivatives with respect to points, of functions and models, that can be nested."""

from ._derivatives import derivatives as derivatives
from ._directional import directional_derivative as directional_derivative
from ._directional import partial as partial
from ._directional import time_derivative as time_derivative
from ._hessian import hessian as hessian
from ._hessian import hvp as hvp
from ._jacobian import batched_jacobian as batched_jacobian
from ._jacobian import gradient as gradient
from ._jacobian import jacobian as jacobian
from ._laplacian import laplacian as laplacian
from ._products import jacobian_vector_product as jacobian_vector_product
from ._products import vector_jacobian_product as vector_jacobian_product
from ._vector_calculus import curl as curl
from ._vector_calculus import divergence as divergence
