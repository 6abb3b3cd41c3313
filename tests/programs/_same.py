"""Whether two traced programs are the same, equation by equation."""

import jax
import numpy as np

from sciml_lux.programs import ClosedJaxpr, Jaxpr, Literal


def first_difference(one, other):
    """Where two programs differ, in words; None if they do not but for the names of variables."""
    constants = one.consts, other.consts
    if len(constants[0]) != len(constants[1]):
        return f"constants: {constants}"
    for a, b in zip(*constants, strict=True):
        if not same_value(a, b):
            return f"constant: {a} {b}"
    return _difference(one.jaxpr, other.jaxpr)


def _difference(one, other):
    names = {}
    known = (*one.constvars, *one.invars), (*other.constvars, *other.invars)
    if not _bound(known, names) or len(one.eqns) != len(other.eqns):
        return f"arguments or number of equations: {len(one.eqns)} {len(other.eqns)}"
    for a, b in zip(one.eqns, other.eqns, strict=True):
        if a.primitive is not b.primitive or a.params.keys() != b.params.keys():
            return f"{a} {b}"
        if not _read((a.invars, b.invars), names) or not _bound((a.outvars, b.outvars), names):
            return f"variables of {a} {b}"
        if a.effects != b.effects:
            return f"effects of {a} {b}"
        # How many operands are constants of a custom rule: JAX moves those into the rule whenever
        # it binds the call again, in `jax.core.eval_jaxpr` as well.
        custom = a.primitive.name in ("custom_jvp_call", "custom_vjp_call")
        for name in a.params.keys() - ({"num_consts"} if custom else set()):
            if inside := _difference_of(a.params[name], b.params[name]):
                return f"{a.primitive} {name}: {inside}"
    return None if _read((one.outvars, other.outvars), names) else "results"


def _bound(pair, names):
    if len(pair[0]) != len(pair[1]) or any(a.aval != b.aval for a, b in zip(*pair, strict=True)):
        return False
    names.update(zip(*pair, strict=True))
    return True


def _read(pair, names):
    return len(pair[0]) == len(pair[1]) and all(
        same_value(a.val, b.val) and a.aval == b.aval
        if isinstance(a, Literal)
        else not isinstance(b, Literal) and names[a] is b
        for a, b in zip(*pair, strict=True)
    )


def _difference_of(one, other):
    """Where two parameters of an equation differ; of functions, the kind alone is asked."""
    if isinstance(one, ClosedJaxpr):
        return first_difference(one, other)
    if isinstance(one, Jaxpr):
        return _difference(one, other)
    if isinstance(one, tuple | list) and type(one) is type(other) and len(one) == len(other):
        return next(filter(None, map(_difference_of, one, other)), None)
    if callable(one) or hasattr(one, "call_wrapped"):
        return None if type(one) is type(other) else f"{type(one)} {type(other)}"
    return None if same_value(one, other) else f"{one} {other}"


def same_value(one, other):
    if one is other:
        return True
    if isinstance(one, jax.Array | np.ndarray | np.generic):
        if jax.numpy.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        is_float = jax.numpy.issubdtype(one.dtype, jax.numpy.inexact)
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=is_float)
    return bool(one == other)
