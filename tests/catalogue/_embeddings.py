"""Embeddings of indices, positions and coordinates."""

from sciml_lux import nn, ops

from ._entry import Indices, LayerEntry, OpEntry

LAYERS: list[LayerEntry] = [
    LayerEntry(nn.Embedding(5, 3), Indices((4, 2), 5), (4, 2, 3), 15),
    LayerEntry(
        nn.Embedding((3, 2), 2),
        (Indices((4,), 3), Indices((4,), 2)),
        (4, 2),
        12,
        bad=Indices((4,), 3),
    ),
    LayerEntry(
        nn.SinusoidalPositionalEmbedding(4, full_turns=True), (3, 2), (3, 2, 4), 0, 2, widens=True
    ),
    LayerEntry(
        nn.RotaryPositionalEmbedding(4, max_sequence_length=3),
        (3, 2, 1, 4),
        (3, 2, 1, 4),
        0,
        12,
        bad=(3, 2, 1, 3),
        widens=True,
    ),
    LayerEntry(
        nn.RotaryPositionalEmbedding(2, max_sequence_length=3, base=100, low_memory_variant=False),
        (3, 2, 2, 3),
        (3, 2, 2, 3),
        0,
        12,
        widens=True,
    ),
]

ANY_SHAPE = {"SinusoidalPositionalEmbedding"}

OPS: list[OpEntry] = [
    OpEntry(ops.gather, ((4, 3), Indices((2,), 4))),
    OpEntry(ops.apply_rotary_embedding, ((2, 3, 2, 4), (5, 2), (5, 2)), widens=True),
]

NOT_OF_ARRAYS = {"compute_rotary_embedding_params"}
