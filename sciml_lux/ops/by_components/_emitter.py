"""Emitters: what one scalar operation becomes."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from ...programs import Call

Atom: TypeAlias = Any
"""A scalar of the function: a NumPy scalar where it is constant, else what the emitter returns."""


class Operation(NamedTuple):
    """One scalar operation.

    Attributes:
        name: of the primitive.
        function: what it computes, of arrays of one shape.
        call: the equation that it is of, with its parameters; None for one of a sum.
    """

    name: str
    function: Callable[..., jax.Array]
    call: Call | None = None


Emitter: TypeAlias = Callable[..., Atom]
"""`emitter(operation, *atoms)`: the atom of the result."""


def vectors(operation: Operation, *atoms: Atom) -> jax.Array:
    """The operation by JAX, on all trajectories: an atom is a vector of one component of them.

    Under `jax.vmap` over the trajectories it is a scalar.
    """
    shape = jnp.broadcast_shapes(*map(jnp.shape, atoms))
    return operation.function(*(jnp.broadcast_to(jnp.asarray(atom), shape) for atom in atoms))
