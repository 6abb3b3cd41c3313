"""Affine maps, scales, and changes of shape."""

from ._bilinear import Bilinear as Bilinear
from ._dense import Dense as Dense
from ._flatten_layer import FlattenLayer as FlattenLayer
from ._reshape_layer import ReshapeLayer as ReshapeLayer
from ._scale import Scale as Scale
from ._select_dim import SelectDim as SelectDim
