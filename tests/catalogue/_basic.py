"""Basic layers and linear maps, and the functions behind them."""

from sciml_lux import ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []


def _dense(weight, x, bias):
    return ops.fused_dense_bias_activation(ops.tanh, weight, x, bias)


def _xlogx(x):
    return ops.xlogx(2.5 + x)


def _xlogy(x, y):
    return ops.xlogy(x, 2.5 + y)


OPS: list[OpEntry] = [
    OpEntry(ops.fused_dense_bias_activation, ((2, 3), (4, 3), (2,)), _dense),
    OpEntry(ops.softmax, widens=True),
    OpEntry(ops.logsoftmax, widens=True),
    OpEntry(ops.logsumexp, widens=True),
    OpEntry(ops.xlogx, call=_xlogx),
    OpEntry(ops.xlogy, ((7,), (7,)), _xlogy),
]
