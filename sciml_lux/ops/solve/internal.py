"""What other packages of the library need of `ops.solve`, and users do not."""

from ._interpolation_weights import interpolation_weights as interpolation_weights
from ._tableau import Arrays as Arrays
from ._tableau import Tableau as Tableau
