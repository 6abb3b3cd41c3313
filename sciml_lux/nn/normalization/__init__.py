"""Normalisation of activations and of weights."""

from ._batch_norm import BatchNorm as BatchNorm
from ._group_norm import GroupNorm as GroupNorm
from ._instance_norm import InstanceNorm as InstanceNorm
from ._layer_norm import LayerNorm as LayerNorm
from ._rms_norm import RMSNorm as RMSNorm
from ._weight_norm import WeightNorm as WeightNorm
