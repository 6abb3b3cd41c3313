"""Rows of tables, rotations by position, and quantities with a period."""

from ._gather import gather as gather
from ._periodic_sin_cos import periodic_sin_cos as periodic_sin_cos
from ._rotary_embedding import apply_rotary_embedding as apply_rotary_embedding
from ._rotary_embedding import compute_rotary_embedding_params as compute_rotary_embedding_params
