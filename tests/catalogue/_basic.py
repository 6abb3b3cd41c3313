"""Basic layers and linear maps, and the functions behind them."""

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = [
    LayerEntry(nn.Scale(2, 3, activation=nn.tanh), (4, 2, 3), (4, 2, 3), 12, bad=(4, 3)),
    LayerEntry(nn.Scale(3, use_bias=False), (4, 3), (4, 3), 3),
    LayerEntry(
        nn.Bilinear((2, 3), 2, nn.softplus), ((4, 2), (4, 3)), (4, 2), 14, bad=((4, 2), (4, 2))
    ),
    LayerEntry(nn.Bilinear(2, 3, use_bias=False), (4, 5, 2), (4, 5, 3), 12),
    LayerEntry(nn.FlattenLayer(), (4, 2, 3), (4, 6), 0, batched=False),
    LayerEntry(nn.FlattenLayer(2), (4, 2, 3), (4, 6), 0, bad=(4,)),
    LayerEntry(nn.ReshapeLayer((2, 3)), (4, 6), (4, 2, 3), 0, bad=(4, 5), batched=False),
    LayerEntry(nn.SelectDim(-1, 2), (4, 3), (4,), 0, bad=(4, 2)),
    LayerEntry(nn.SelectDim(1, range(2, -1, -2)), (4, 3), (4, 2), 0, batched=False),
]


def _dense(weight, x, bias):
    return ops.fused_dense_bias_activation(ops.tanh, weight, x, bias)


OPS: list[OpEntry] = [OpEntry(ops.fused_dense_bias_activation, ((2, 3), (4, 3), (2,)), _dense)]
