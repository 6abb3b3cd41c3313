"""What layers are written with: small tools (LuxOps), and errors at run time."""

from ._operation_mode import OperationMode as OperationMode
from ._operation_mode import operation_mode as operation_mode
from ._raise_if import raise_if as raise_if
from ._tools import eachslice as eachslice
from ._tools import foldl_init as foldl_init
from ._tools import getproperty as getproperty
from ._tools import istraining as istraining
from ._tools import rsqrt as rsqrt
from ._watch_cotangent import watch_cotangent as watch_cotangent
