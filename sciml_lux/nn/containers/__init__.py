"""Layers made of layers."""

from ._branch_layer import BranchLayer as BranchLayer
from ._chain import Chain as Chain
from ._maxout import Maxout as Maxout
from ._no_op import NoOpLayer as NoOpLayer
from ._pairwise_fusion import PairwiseFusion as PairwiseFusion
from ._parallel import Parallel as Parallel
from ._repeated_layer import RepeatedLayer as RepeatedLayer
from ._skip_connection import SkipConnection as SkipConnection
from ._wrapped_function import WrappedFunction as WrappedFunction
