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


def _bias_activation(x, bias):
    return ops.bias_activation(ops.tanh, x, bias)


def _fast_activation(x):
    return ops.fast_activation(ops.tanh, x)


def _multigate(x):
    return ops.multigate(x, 3)


def _eachslice(x):
    return ops.eachslice(x, 1)


def _foldl_init(xs, init):
    return ops.foldl_init(lambda folded, x: ops.tanh(folded) * x, xs, init)


# These are for positive numbers only.
def _rsqrt(x):
    return ops.rsqrt(0.5 + x * x)


def _xlogx(x):
    return ops.xlogx(0.5 + x * x)


def _xlogy(x, y):
    return ops.xlogy(x, 0.5 + y * y)


OPS: list[OpEntry] = [
    OpEntry(ops.fused_dense_bias_activation, ((2, 3), (4, 3), (2,)), _dense),
    OpEntry(ops.bias_activation, ((4, 3), (3,)), _bias_activation),
    OpEntry(ops.fast_activation, call=_fast_activation),
    OpEntry(ops.batched_matmul, ((3, 2, 4), (3, 4, 2))),
    OpEntry(ops.softmax, ((3, 4),), widens=True),
    OpEntry(ops.logsoftmax, ((3, 4),), widens=True),
    OpEntry(ops.logsumexp, ((3, 4),), widens=True),
    OpEntry(ops.glu, ((3, 4),)),
    OpEntry(ops.multigate, ((2, 6),), _multigate),
    OpEntry(ops.eachslice, ((2, 3),), _eachslice),
    OpEntry(ops.foldl_init, ((3, 2), (2,)), _foldl_init),
    OpEntry(ops.rsqrt, call=_rsqrt),
    OpEntry(ops.xlogx, call=_xlogx),
    OpEntry(ops.xlogy, ((5,), (5,)), _xlogy),
]

NOT_OF_ARRAYS = {"getproperty", "istraining", "operation_mode"}
