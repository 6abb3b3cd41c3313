"""Kernels: device code for a whole batch, reached through functions that are plain JAX as well."""

from ._kernel import Kernel as Kernel
from ._kernel import Source as Source
