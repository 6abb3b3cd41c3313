"""Kernels of the solve of an ensemble and of its transpose."""

from ._backward import BackwardKernel as BackwardKernel
from ._field_text import field_text as field_text
from ._field_text import field_vjp_text as field_vjp_text
from ._forward import ForwardKernel as ForwardKernel
from ._kernel_text import device_text as device_text
from ._limits import why_not_kernel as why_not_kernel
from ._with_kernels import with_kernels as with_kernels
