"""What other packages of the library need of `ops`, and users do not."""

from ._op import op as op
from .convolution._convolution import PaddingMode as PaddingMode
from .convolution._pooling import exponent as exponent
from .convolution._windows import Padding as Padding
from .convolution._windows import PerAxis as PerAxis
from .convolution._windows import Windows as Windows
from .convolution._windows import per_axis as per_axis
from .convolution._windows import windows as windows
from .solve import DIVERGED as DIVERGED
from .solve import FIELD_NOT_FINITE as FIELD_NOT_FINITE
from .solve import MAX_STEPS as MAX_STEPS
from .solve import NO_STEP as NO_STEP
from .solve import STATE_NOT_FINITE as STATE_NOT_FINITE
from .solve import SUCCESSFUL as SUCCESSFUL
from .solve import Adaptive as Adaptive
from .solve import Arrays as Arrays
from .solve import Control as Control
from .solve import Estimates as Estimates
from .solve import Fixed as Fixed
from .solve import Tableau as Tableau
from .solve import any_in_batch as any_in_batch
from .solve import dynamic_scan as dynamic_scan
from .solve import interpolation_weights as interpolation_weights
from .solve import solve as solve
from .solve import tableaus as tableaus
from .solve import with_fine_interpolant as with_fine_interpolant
