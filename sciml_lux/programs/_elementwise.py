"""The primitives that compute each entry from the entries in the same place."""

_ONE_OPERAND = """
    abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil conj convert_element_type
    copy copy_p cos cosh digamma erf erf_inv erfc exp exp2 expm1 floor imag integer_pow is_finite
    lgamma log log1p logistic neg not one_minus_square real reduce_precision round rsqrt sign sin
    sinh sqrt square stop_gradient tan tanh
"""
_SEVERAL_OPERANDS = """
    add add_any and atan2 clamp complex div eq ge gt igamma igammac le lt max min mul ne nextafter
    or polygamma pow regularized_incomplete_beta rem select_n sub xor zeta
"""
ELEMENTWISE = frozenset((_ONE_OPERAND + _SEVERAL_OPERANDS).split())
"""Their names. Scalars among the operands of `clamp` and `select_n` stand for all places."""
