"""Basic layers and linear maps, and the functions behind them."""

from sciml_lux import ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []


def _dense(weight, x, bias):
    return ops.fused_dense_bias_activation(ops.tanh, weight, x, bias)


OPS: list[OpEntry] = [OpEntry(ops.fused_dense_bias_activation, ((2, 3), (4, 3), (2,)), _dense)]
