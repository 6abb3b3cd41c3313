"""Derivative rules of their own, of functions that are written by components."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...programs import Call, bind
from ._components import Components, joined, split
from ._emitter import Atom
from ._refusal import refusal


def with_derivative_of_primitive(
    call: Call,
    values: Callable[..., Sequence[Components]],
    operands: Sequence[Components],
) -> list[Components]:
    """The results of an equation, whose derivative is that of its primitive, by components too.

    Args:
        call: the equation.
        values: the results of the operands, by components.
        operands: its operands.
    """
    atoms = joined(operands)
    if not all(isinstance(atom, jax.Array | np.generic) for atom in atoms):
        return list(values(*operands))  # What is not JAX's is not differentiated.
    types: list[Any] = [v.aval for v in (*call.equation.invars, *call.equation.outvars)]
    if not all(jnp.issubdtype(t.dtype, jnp.floating) for t in types):
        raise refusal(call, "its derivative rule is not of real numbers alone")
    shapes = [x.shape for x in operands]
    common = jnp.broadcast_shapes(*map(jnp.shape, atoms))

    @jax.custom_jvp
    def function(*atoms: Atom) -> list[Atom]:
        return _spread(joined(values(*split(atoms, shapes))), common)

    @function.defjvp
    def _(primals: Sequence[Atom], tangents: Sequence[Atom]) -> tuple[list[Atom], list[Atom]]:
        structs = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types[: len(operands)]]
        program = jax.make_jaxpr(lambda x, dx: _moved(call, x, dx))(structs, structs)
        both = [*split(primals, shapes), *split(tangents, shapes)]
        found = _spread(joined(call.evaluate(program, both)), common)
        return found[: len(found) // 2], found[len(found) // 2 :]

    found = function(*_spread(atoms, common))
    return split(found, [v.shape for v in types[len(operands) :]])


def _moved(call: Call, x: Sequence[jax.Array], dx: Sequence[jax.Array]) -> Any:
    return jax.jvp(lambda *x: bind(call, *x), tuple(x), tuple(dx))


def _spread(atoms: Sequence[Atom], shape: tuple[int, ...]) -> list[Atom]:
    return [jnp.broadcast_to(jnp.asarray(atom), shape) for atom in atoms]
