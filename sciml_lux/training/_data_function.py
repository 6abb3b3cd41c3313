"""Data that are a function: what it must be, since it is traced once and never called again."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import require_uncut
from ._remembered import remembered

Function = Callable[[jax.Array], Any]


def checked_batch(batch: Any, subject: str) -> Any:
    """`batch`, if JAX keeps its numbers.

    Raises:
        TypeError: NumPy arrays in it are of 64 bits, x64 off; names the path.
    """
    require_uncut(batch, subject)
    return batch


def require_draws(function: Function, key: jax.Array, subject: str) -> None:
    """Raise if nothing that `function` returns depends on its key.

    Raises:
        ValueError: so it is, as with the randomness of NumPy.
    """
    if not _uses_argument(function, key.shape, key.dtype, subject):
        raise ValueError(
            f"{subject} must depend on the key, got a function {_name(function)} that does not "
            "use it: it is traced once, so that every step would get the same numbers. Draw with "
            "jax.random and the key in place of NumPy; pass fixed data as a tree of arrays."
        )


def require_repeats(function: Function, subject: str) -> None:
    """Raise if `function` ignores the step and returns other numbers at every call.

    Raises:
        ValueError: so it does, as with the randomness of NumPy.
    """
    used = _uses_argument(function, (), jnp.dtype("int32"), subject)
    if not used and not _repeats(function):
        raise ValueError(
            f"{subject} must depend on the step alone, got a function {_name(function)} that does "
            "not use it and returns other numbers at each call: it is traced once, so that every "
            "step would get the same ones. Draw with jax.random in a `Sampled`."
        )


@remembered
def _uses_argument(function: Function, shape: tuple[int, ...], dtype: Any, subject: str) -> bool:
    """Whether what `function` returns depends on its argument."""
    argument = jax.ShapeDtypeStruct(shape, dtype)
    program = jax.make_jaxpr(lambda given: checked_batch(function(given), subject))(argument).jaxpr
    depends = set(map(id, program.invars))
    for equation in program.eqns:
        if depends.intersection(map(id, equation.invars)):
            depends.update(map(id, equation.outvars))
    return not depends.isdisjoint(map(id, program.outvars))


@remembered
def _repeats(function: Function) -> bool:
    return _bytes_of(function) == _bytes_of(function)


def _bytes_of(function: Function) -> list[bytes]:
    return [_bytes(leaf) for leaf in jax.tree.leaves(function(jnp.zeros((), jnp.int32)))]


def _bytes(leaf: Any) -> bytes:
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def _name(function: Function) -> str:
    return f"`{getattr(function, '__name__', type(function).__name__)}`"
