"""Attention."""

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = [
    # Small, since in float32 the step of the central differences shows in curved functions.
    LayerEntry(
        nn.MultiHeadAttention((2, 2, 3), num_heads=2),
        (3, 2, 2),
        ((3, 2, 3), (3, 2, 2, 2)),
        18,
        bad=(3, 2, 3),
        widens=True,
    ),
    LayerEntry(
        nn.MultiHeadAttention(
            ((2, 3, 4), (4, 2), 3), num_heads=2, attention_dropout_probability=0.5, use_bias=True
        ),
        ((3, 2, 2), (3, 4, 3), (3, 4, 4)),
        ((3, 2, 3), (3, 2, 2, 4)),
        47,
        2,
        batched=False,
        widens=True,
    ),
]


def _attention(query, key, value, bias):
    return ops.scaled_dot_product_attention(query, key, value, bias=bias, is_causal=True)


OPS: list[OpEntry] = [
    OpEntry(
        ops.scaled_dot_product_attention,
        ((2, 3, 4, 2), (2, 5, 2, 2), (2, 5, 2, 3), (3, 5)),
        _attention,
        widens=True,
    ),
]

NOT_OF_ARRAYS = {"make_causal_mask"}
