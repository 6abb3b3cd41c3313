"""Equations that ask for fewer digits than the dtype of their operands holds."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..programs import Atom, JaxprEqn

_PRODUCTS = frozenset(
    {"dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general"}
    # Sparse products have no option for it: they always take the default.
    | {"bcoo_dot_general", "bcoo_dot_general_sampled", "bcoo_spdot_general"}
    | {"bcsr_dot_general", "coo_matvec", "coo_matmat", "csr_matvec", "csr_matmat"}
)
# Half precision loses nothing here. GPUs multiply float32 with fewer digits unless told not to, and
# float64 where an algorithm of fewer digits is named.
_EXACT = {
    "float32": frozenset({"HIGHEST", "F32_F32_F32", "F64_F64_F64"}),
    "float64": frozenset({"None", "DEFAULT", "HIGH", "HIGHEST", "F64_F64_F64"}),
}


def lossy_requests(equation: JaxprEqn, want: np.dtype) -> Iterator[tuple[str, str]]:
    """Kind and detail of each request for fewer digits, which dtypes do not show."""
    name, parameters = equation.primitive.name, equation.params
    if name in _PRODUCTS:
        dtypes = [_dtype(atom) for atom in equation.invars]
        floats = [d for d in dtypes if jnp.issubdtype(d, jnp.inexact)]
        dtype = max(floats, key=lambda d: d.itemsize, default=dtypes[0])
        if precision := _lossy_precision(parameters.get("precision"), dtype):
            yield "matmul precision", f"{name} of {dtype} at {precision}"
    if name == "reduce_precision":
        known = [jnp.finfo(dtype) for dtype in (want, _dtype(equation.invars[0]))]
        kept, exponent = parameters["mantissa_bits"], parameters["exponent_bits"]
        if kept < min(dtype.nmant for dtype in known):
            yield "narrowing", f"reduce_precision to {kept} bits"
        if exponent < min(dtype.nexp for dtype in known):
            yield "narrowing", f"reduce_precision to {exponent} bits of exponent"
    if isinstance(tolerance := parameters.get("accuracy"), lax.Tolerance):
        parts = ", ".join(f"{k}={v:g}" for k, v in vars(tolerance).items() if v)
        yield "low precision", f"{name} to a tolerance of {parts}"


def _lossy_precision(precision: Any, dtype: np.dtype) -> str:
    """The precision that a product asks for, if that is less than `dtype` holds; otherwise ""."""
    real = jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.inexact) else dtype
    if real.name not in _EXACT:
        return ""
    if isinstance(precision, lax.DotAlgorithm):
        kept = [jnp.dtype(asked) for asked in precision[:3]]  # Left, right, sum.
        fewer = [dtype for dtype in kept if dtype.itemsize < real.itemsize]
        return f"an algorithm of {fewer[0]}" if fewer else ""
    for one in precision if isinstance(precision, tuple) else (precision,):
        name = getattr(one, "name", str(one))
        if name not in _EXACT[real.name]:
            return "the platform's default" if name in ("None", "DEFAULT") else name
    return ""


def _dtype(atom: Atom) -> np.dtype:
    return atom.aval.dtype  # pyright: ignore[reportAttributeAccessIssue]
