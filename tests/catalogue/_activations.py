"""Activations."""

from sciml_lux import ops

from ._entry import OpEntry

OPS: list[OpEntry] = [
    OpEntry(ops.celu),
    OpEntry(ops.elu),
    OpEntry(ops.gelu, widens=True),
    OpEntry(ops.gelu_erf, widens=True),
    OpEntry(ops.gelu_sigmoid, widens=True),
    OpEntry(ops.gelu_tanh, widens=True),
    OpEntry(ops.hardsigmoid),
    OpEntry(ops.hardswish),
    OpEntry(ops.hardtanh),
    OpEntry(ops.identity),
    OpEntry(ops.leakyrelu),
    OpEntry(ops.lisht),
    OpEntry(ops.logcosh),
    OpEntry(ops.logsigmoid),
    OpEntry(ops.mish),
    OpEntry(ops.relu),
    OpEntry(ops.relu6),
    OpEntry(ops.rrelu),
    OpEntry(ops.selu),
    OpEntry(ops.sigmoid),
    OpEntry(ops.sigmoid_fast),
    OpEntry(ops.softplus),
    OpEntry(ops.softshrink),
    OpEntry(ops.softsign),
    OpEntry(ops.swish),
    OpEntry(ops.tanh),
    OpEntry(ops.tanh_fast),
    OpEntry(ops.tanhshrink),
    OpEntry(ops.thresholdrelu),
    OpEntry(ops.trelu),
]
