"""Kernels: device code for a whole batch, reached through functions that are plain JAX as well."""

from ._availability import tell_once as tell_once
from ._kernel import Kernel as Kernel
from ._kernel import Source as Source
from ._linear_with_kernel import linear_with_kernel as linear_with_kernel
from ._why_no_kernel import why_no_kernel as why_no_kernel
from ._with_kernel import with_kernel as with_kernel
