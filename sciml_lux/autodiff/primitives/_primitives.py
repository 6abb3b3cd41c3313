"""Primitives by how their derivatives of higher order look, the same for all propagations."""

_NAMES = """
    broadcast_in_dim complex concatenate cumsum dynamic_slice dynamic_update_slice fft gather pad
    reduce_sum reshape reduce_window_sum rev scatter scatter-add scatter_add select_n slice split
    squeeze stack tile transpose
"""
LINEAR = tuple(_NAMES.split())
"""Linear, or affine, in those operands together that depend on the points."""

ENTRY_BY_ENTRY = ("neg", "convert_element_type", "real", "imag", "conj", "copy", "copy_p")
"""Linear, and a function of each entry, which arrays of all shapes pass alike."""

PIECEWISE_LINEAR = (
    "clamp",
    "cummax",
    "cummin",
    "max",
    "min",
    "reduce_max",
    "reduce_min",
    "sort",
    "top_k",
)
"""Their second derivatives are zero but where pieces meet."""

CONSTANT = ("ceil", "floor", "round", "sign", "stop_gradient")
"""Without a derivative other than zero."""
