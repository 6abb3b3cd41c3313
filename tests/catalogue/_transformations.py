"""Layers made of layers: compact, frozen, tied, watched."""

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []

OPS: list[OpEntry] = []
