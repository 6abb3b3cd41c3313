"""Derivatives with respect to points, of functions and models, that can be nested."""

from .operators import batched_jacobian as batched_jacobian
from .operators import bilaplacian as bilaplacian
from .operators import curl as curl
from .operators import derivatives as derivatives
from .operators import directional_derivative as directional_derivative
from .operators import divergence as divergence
from .operators import flux_divergence as flux_divergence
from .operators import gradient as gradient
from .operators import hessian as hessian
from .operators import hvp as hvp
from .operators import jacobian as jacobian
from .operators import jacobian_vector_product as jacobian_vector_product
from .operators import laplacian as laplacian
from .operators import partial as partial
from .operators import second_order_operator as second_order_operator
from .operators import stochastic_bilaplacian as stochastic_bilaplacian
from .operators import stochastic_divergence as stochastic_divergence
from .operators import stochastic_laplacian as stochastic_laplacian
from .operators import time_derivative as time_derivative
from .operators import vector_jacobian_product as vector_jacobian_product
from .propagation import Fallback as Fallback
from .propagation import fallbacks as fallbacks
