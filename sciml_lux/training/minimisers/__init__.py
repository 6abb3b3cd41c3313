"""`minimise`: full-batch methods of optimistix, SciPy and optax."""

from ._minimise import minimise as minimise
from ._scipy_method import SciPy as SciPy
