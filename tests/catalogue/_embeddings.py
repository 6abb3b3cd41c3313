"""Embeddings of indices, positions and coordinates."""

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []

OPS: list[OpEntry] = []
