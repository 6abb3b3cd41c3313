"""Attention."""

from ._multi_head_attention import MultiHeadAttention as MultiHeadAttention
