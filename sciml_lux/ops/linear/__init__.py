"""Products: dense maps, stacks of matrices, Kronecker products."""

from ._batched_matmul import batched_matmul as batched_matmul
from ._dense import fused_dense_bias_activation as fused_dense_bias_activation
from ._kronecker_product import kronecker_product as kronecker_product
