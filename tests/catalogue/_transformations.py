"""Layers made of layers: compact, frozen, tied, watched."""

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []

OPS: list[OpEntry] = []

_TWO = nn.Chain(nn.Dense(2, 2, nn.tanh), nn.Dense(2, 2))

LAYERS += [
    LayerEntry(nn.FrozenLayer(nn.Dense(3, 2), ("weight",)), (4, 3), (4, 2), 2, 6),
    LayerEntry(nn.freeze(_TWO, which="layer_1"), (4, 2), (4, 2), 6, 6),
    LayerEntry(nn.tie(_TWO, [("layer_1", "layer_2")]), (4, 2), (4, 2), 6),
    LayerEntry(nn.DebugLayer(nn.Dense(3, 2, nn.tanh)), (4, 3), (4, 2), 8),
]

ANY_SHAPE = {"FrozenLayer", "TiedLayer", "DebugLayer"}


def _no_cause(x):
    return ops.raise_if(x, 0, ())


def _watched(x):
    return ops.watch_cotangent(x, "not finite")


OPS += [OpEntry(ops.raise_if, call=_no_cause), OpEntry(ops.watch_cotangent, call=_watched)]
