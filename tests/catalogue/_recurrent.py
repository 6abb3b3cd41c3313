"""Recurrent cells and what runs them over time."""

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []

OPS: list[OpEntry] = []
