"""Constants of a program that are 0 in the dtype it runs in, such as 1e-8 in float16."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...programs import Literal, walk


def vanishing_constants(step: Callable[[Any], tuple[Any, tuple]], dtype: np.dtype) -> list[float]:
    """The numbers in the program of `step(float32)` that are 0 in that of `step(dtype)`.

    A number that is 0 in a program leaves no trace of what it was; the one in float32 has it.

    Args:
        step: for a dtype, a function and the arguments to trace it with.
        dtype: the dtype in question; only float16 has less range than the constants one writes.

    Example:
        >>> def step(dtype):
        ...     return (lambda x: x / (x + 1e-9) + 1e-3), (jax.ShapeDtypeStruct((), dtype),)
        >>> vanishing_constants(step, jnp.float16)
        [1e-09]
    """
    if jnp.finfo(dtype).nexp >= jnp.finfo(jnp.float32).nexp:
        return []
    small = float(jnp.finfo(dtype).smallest_subnormal) / 2
    meant = {c for c in _constants(*step(jnp.float32)) if 0.0 < abs(c) <= small}
    return sorted(float(f"{c:.6g}") for c in meant - set(_constants(*step(dtype))))


def _constants(f: Callable[..., Any], args: tuple) -> Iterator[float]:
    """The floating numbers that are written in the program of f(*args)."""
    for visit in walk(jax.make_jaxpr(f)(*args)):
        atoms = [] if visit.equation is None else visit.equation.invars
        values = [atom.val for atom in atoms if isinstance(atom, Literal)]
        for value in values if visit.equation is not None else [visit.constant]:
            if jnp.issubdtype(jnp.result_type(value), jnp.floating) and np.size(value) < 2:
                yield float(np.asarray(value).astype(np.float64).ravel()[0])
