"""Why a function is not written by components."""

from typing import Any

import jax.numpy as jnp

from ...programs import Call

_LOOP = "a loop has no straight-line form"
_ORDER = "an order that depends on values has no straight-line form"
_LINEAR_ALGEBRA = "linear algebra is faster on arrays"
_KEY = "random numbers are drawn as arrays"
_CALLBACK = "a callback takes arrays"
_BRANCH = "a condition has no straight-line form; take `jnp.where`"
_REASONS = {
    **dict.fromkeys(["scan", "while", "dynamic_scan", "dynamic_scan_jvp", "own_derivative"], _LOOP),
    **dict.fromkeys(["cond", "switch"], _BRANCH),
    **dict.fromkeys(["sort", "top_k", "approx_top_k", "argmax", "argmin"], _ORDER),
    **dict.fromkeys(["cholesky", "lu", "lu_pivots_to_permutation"], _LINEAR_ALGEBRA),
    **dict.fromkeys(["triangular_solve", "tridiagonal_solve", "eig", "eigh"], _LINEAR_ALGEBRA),
    **dict.fromkeys(["svd", "geqrf", "qr", "householder_product", "schur"], _LINEAR_ALGEBRA),
    **dict.fromkeys(["custom_linear_solve", "custom_root"], _LINEAR_ALGEBRA),
    **dict.fromkeys(["random_bits", "random_wrap", "random_unwrap", "random_seed"], _KEY),
    **dict.fromkeys(["random_split", "random_fold_in", "random_gamma", "threefry2x32"], _KEY),
    "rng_bit_generator": _KEY,
    "debug_print": _CALLBACK,
    "custom_vjp_call": "its derivative rule takes arrays; `jax.custom_jvp` has one that does not",
}


class Refusal(Exception):
    """Why a function has no form by components, in one sentence."""


def refusal(call: Call, reason: str) -> Refusal:
    """The refusal of one equation, with its line where that is known."""
    place = "" if call.line == "?" else f" at {call.line}"
    return Refusal(f"`{call.name}`{place}: {reason}.")


def refuse(call: Call, *operands: object) -> object:
    """The rule of a primitive that has no form by components."""
    if call.name in _REASONS:
        raise refusal(call, _REASONS[call.name])
    if call.name.endswith("callback"):
        raise refusal(call, _CALLBACK)
    raise refusal(call, "the primitive has no rule by components")


def refuse_half_precision(call: Call) -> None:
    """Raise where a sum by arrays, of values or of cotangents, would be taken in float32."""
    kind: Any = call.equation.outvars[0].aval
    if jnp.issubdtype(kind.dtype, jnp.inexact) and kind.dtype.itemsize < 4:
        raise refusal(call, f"a sum of {kind.dtype} is taken in float32, which its values are not")
