"""Recurrent cells and what runs them over time."""

import operator

from sciml_lux import initializers, nn, ops

from ._entry import Indices, LayerEntry, OpEntry

_STARTS = {"train_state": True, "init_state": initializers.uniform}

LAYERS: list[LayerEntry] = [
    LayerEntry(nn.RNNCell(2, 3, nn.softplus), (4, 2), ((4, 3), ((4, 3),)), 21, bad=(4, 3)),
    LayerEntry(
        nn.LSTMCell(2, 3, train_memory=True, **_STARTS),
        (4, 2),
        ((4, 3), ((4, 3), (4, 3))),
        4 * 21 + 6,
        bad=(4, 3),
    ),
    LayerEntry(
        nn.GRUCell(2, 3, use_bias=False),
        ((4, 2), ((4, 3),)),
        ((4, 3), ((4, 3),)),
        3 * 15,
        bad=((4, 2), ((4, 2),)),
    ),
    LayerEntry(
        nn.StackedRNNCell(nn.RNNCell(2, 3), nn.GRUCell(3, 2)),
        (4, 2),
        ((4, 2), (((4, 3),), ((4, 2),))),
        21 + 3 * 14,
        bad=((4, 2), ((4, 3),)),
    ),
    LayerEntry(nn.Recurrence(nn.LSTMCell(2, 3)), (4, 3, 2), (4, 3), 4 * 21, bad=(2,)),
    LayerEntry(
        nn.Recurrence(nn.GRUCell(2, 2), return_sequence=True, checkpoint=True),
        ((4, 3, 2), None, Indices((4,), 4)),
        (4, 3, 2),
        3 * 12,
    ),
    LayerEntry(
        nn.Recurrence(nn.RNNCell(2, 3), return_carry=True, time_major=True, reverse=True),
        ((2, 4, 2), ((4, 3),)),
        ((4, 3), ((4, 3),)),
        21,
        batched=False,
    ),
    LayerEntry(
        nn.BidirectionalRNN(nn.RNNCell(2, 3), merge=operator.mul),
        ((4, 3, 2), None, Indices((4,), 4)),
        (4, 3, 3),
        2 * 21,
        bad=((4, 3, 2), ((4, 3),)),
    ),
    LayerEntry(
        nn.StatefulRecurrentCell(nn.RNNCell(2, 3), batch_shape=(4,)),
        (4, 2),
        (4, 3),
        21,
        12 + 1,
        bad=(5, 2),
        batched=False,
    ),
    LayerEntry(nn.ReverseSequence(), ((4, 3, 2), Indices((4,), 4)), (4, 3, 2), 0, bad=(3,)),
]


OPS: list[OpEntry] = [
    OpEntry(ops.lstm_gates, ((4, 12), (4, 3))),
    OpEntry(ops.gru_gates, ((4, 9), (4, 9), (4, 3))),
    OpEntry(ops.reverse_sequence, ((4, 3, 2), Indices((4,), 4))),
]
