"""Scaled dot-product attention."""

from ._attention import make_causal_mask as make_causal_mask
from ._attention import scaled_dot_product_attention as scaled_dot_product_attention
