"""Convolution, pooling, padding and resizing."""

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []

OPS: list[OpEntry] = []
