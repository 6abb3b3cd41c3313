"""Convolution, pooling and resizing of images."""

from ._adaptive_pooling import AdaptiveLPPool as AdaptiveLPPool
from ._adaptive_pooling import AdaptiveMaxPool as AdaptiveMaxPool
from ._adaptive_pooling import AdaptiveMeanPool as AdaptiveMeanPool
from ._conv import Conv as Conv
from ._conv_transpose import ConvTranspose as ConvTranspose
from ._global_pooling import GlobalLPPool as GlobalLPPool
from ._global_pooling import GlobalMaxPool as GlobalMaxPool
from ._global_pooling import GlobalMeanPool as GlobalMeanPool
from ._pixel_shuffle import PixelShuffle as PixelShuffle
from ._pooling import LPPool as LPPool
from ._pooling import MaxPool as MaxPool
from ._pooling import MeanPool as MeanPool
from ._same_pad import SamePad as SamePad
from ._upsample import Upsample as Upsample
