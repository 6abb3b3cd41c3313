"""What other packages of the library need of `ops`, and users do not."""

from ._op import op as op
from .convolution._convolution import PaddingMode as PaddingMode
from .convolution._pooling import exponent as exponent
from .convolution._windows import Padding as Padding
from .convolution._windows import PerAxis as PerAxis
from .convolution._windows import Windows as Windows
from .convolution._windows import per_axis as per_axis
from .convolution._windows import windows as windows
from .solve import tableaus as tableaus
from .solve._interpolation_weights import interpolation_weights as interpolation_weights
from .solve._tableau import Arrays as Arrays
from .solve._tableau import Tableau as Tableau
