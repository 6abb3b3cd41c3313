"""Embeddings and features."""

from ._embedding import Embedding as Embedding
from ._fourier_features import FourierFeatures as FourierFeatures
from ._periodic_embedding import PeriodicEmbedding as PeriodicEmbedding
from ._rotary_embedding import RotaryPositionalEmbedding as RotaryPositionalEmbedding
from ._sinusoidal_embedding import SinusoidalPositionalEmbedding as SinusoidalPositionalEmbedding
