"""Convolution, pooling, padding and resampling: functions over the spatial axes."""

from ._convolution import conv as conv
from ._convolution import conv_transpose as conv_transpose
from ._convolution import fused_conv_bias_activation as fused_conv_bias_activation
from ._pad import pad_circular as pad_circular
from ._pad import pad_constant as pad_constant
from ._pad import pad_reflect as pad_reflect
from ._pad import pad_repeat as pad_repeat
from ._pad import pad_symmetric as pad_symmetric
from ._pad import pad_zeros as pad_zeros
from ._pixel_shuffle import pixel_shuffle as pixel_shuffle
from ._pooling import lp_pool as lp_pool
from ._pooling import max_pool as max_pool
from ._pooling import mean_pool as mean_pool
from ._upsample import upsample_bilinear as upsample_bilinear
from ._upsample import upsample_linear as upsample_linear
from ._upsample import upsample_nearest as upsample_nearest
from ._upsample import upsample_trilinear as upsample_trilinear
