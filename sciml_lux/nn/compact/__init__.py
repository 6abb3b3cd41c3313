"""Layers written as one function."""

from ._compact import CompactLuxLayer as CompactLuxLayer
from ._compact import compact as compact
from ._entries import init_fn as init_fn
from ._entries import non_trainable as non_trainable
