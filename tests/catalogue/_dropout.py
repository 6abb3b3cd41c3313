"""Dropout and its kin."""

import jax

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry

# A batch has masks of its own in each row, which a row alone would not get: not `batched`.
LAYERS: list[LayerEntry] = [
    LayerEntry(nn.Dropout(0.5), (4, 3), (4, 3), 0, 2, batched=False, widens=True),
    LayerEntry(
        nn.Dropout(0.3, axes=(0, -1)), (2, 3, 2), (2, 3, 2), 0, 2, batched=False, widens=True
    ),
    LayerEntry(nn.AlphaDropout(0.3), (4, 3), (4, 3), 0, 2, batched=False, widens=True),
    LayerEntry(
        nn.VariationalHiddenDropout(0.3, (1, 3)),
        (4, 3),
        (4, 3),
        0,
        6,
        bad=(4, 2),
        batched=False,
        widens=True,
    ),
]

ANY_SHAPE = {"Dropout", "AlphaDropout"}


def _dropout(x):
    return ops.dropout(jax.random.key(0), x, 0.3, True)[0]


def _alpha_dropout(x):
    return ops.alpha_dropout(jax.random.key(0), x, 0.3, True)[0]


OPS: list[OpEntry] = [
    OpEntry(ops.alpha_dropout, ((7,),), _alpha_dropout, widens=True),
    OpEntry(ops.dropout, ((7,),), _dropout, widens=True),
]
