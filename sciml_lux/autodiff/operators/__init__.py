"""The operators that users call."""

from ._bilaplacian import bilaplacian as bilaplacian
from ._derivatives import derivatives as derivatives
from ._directional import directional_derivative as directional_derivative
from ._directional import partial as partial
from ._directional import time_derivative as time_derivative
from ._flux import flux_divergence as flux_divergence
from ._hessian import hessian as hessian
from ._hessian import hvp as hvp
from ._jacobian import batched_jacobian as batched_jacobian
from ._jacobian import gradient as gradient
from ._jacobian import jacobian as jacobian
from ._laplacian import laplacian as laplacian
from ._products import jacobian_vector_product as jacobian_vector_product
from ._products import vector_jacobian_product as vector_jacobian_product
from ._second_order_operator import second_order_operator as second_order_operator
from ._stochastic import stochastic_bilaplacian as stochastic_bilaplacian
from ._stochastic import stochastic_divergence as stochastic_divergence
from ._stochastic import stochastic_laplacian as stochastic_laplacian
from ._vector_calculus import curl as curl
from ._vector_calculus import divergence as divergence
