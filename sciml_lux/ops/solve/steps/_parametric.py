"""The field of a solve as a program, with its parameters."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import PyTree

from ....precision import accumulated
from ..._primitive import ClosedJaxpr, jaxpr_as_fun, program_of
from ._form import ParametricField
from ._step import Leaves


class Parametric(NamedTuple):
    """A field as a program, and as a function of leaves.

    Attributes:
        program: of parameters that the field closes over, the time, the leaves of the state, and
            those of its arguments.
        function: the field.
        parameters: what it closes over and its arguments, but those that are constants.
        before: how many of these it closes over.
    """

    program: ClosedJaxpr
    function: ParametricField
    parameters: list[jax.Array]
    before: int


def parametric_of(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree], t0: jax.Array, y0: PyTree, args: PyTree
) -> Parametric:
    """The field, traced once, for all the stages; arrays that it closes over become parameters."""
    leaves, tree = jax.tree.flatten(y0)
    arguments, arguments_tree = jax.tree.flatten(args)

    def flat(*operands: jax.Array) -> Leaves:
        t, y = operands[0], tree.unflatten(operands[1 : 1 + len(leaves)])
        return jax.tree.leaves(field(t, y, arguments_tree.unflatten(operands[1 + len(leaves) :])))

    traced, closed_over = program_of(flat, [t0, *leaves, *arguments])
    state = [None] * (1 + len(leaves))
    program, kept = _with_constants(traced, [*closed_over, *state, *arguments])
    parameters = [v for v in kept if v is not None]
    compiled, count = jax.jit(jaxpr_as_fun(program)), kept.index(None)

    def parametric(parameters: list[jax.Array], t: jax.Array, y: Leaves) -> Leaves:
        operands = [*parameters[:count], t, *y, *parameters[count:]]
        pairs = zip(operands, program.in_avals, strict=True)
        return wide(compiled(*(v if v.dtype == a.dtype else v.astype(a.dtype) for v, a in pairs)))

    return Parametric(program, parametric, parameters, count)


MOST_KNOWN = 64
"""Numbers of an array of floats that is taken for a constant where it is known."""


def _with_constants(program: ClosedJaxpr, operands: list[Any]) -> tuple[ClosedJaxpr, list[Any]]:
    """The program with constants for integers that are known, such as the places of entries, and
    for few floats that are.

    Args:
        program: of these operands.
        operands: None for those that are not arrays yet.

    Returns:
        It, and the operands that are left.
    """
    known = list(map(_is_constant, operands))
    if not any(known):
        return program, operands

    def rest(*some: jax.Array) -> list[jax.Array]:
        left, function = iter(some), jaxpr_as_fun(program)
        pairs = zip(operands, known, strict=True)
        return function(*(v if k else next(left) for v, k in pairs))

    types = itertools.compress(program.in_avals, [not k for k in known])
    kept = [v for v, k in zip(operands, known, strict=True) if not k]
    return jax.make_jaxpr(rest)(*types), kept


def wide(values: Sequence[jax.Array]) -> list[jax.Array]:
    """The values, those in half precision in the dtype of their sums."""
    return [accumulated(value) for value in values]


def _is_constant(value: jax.Array | None) -> bool:
    if value is None or isinstance(value, Tracer):
        return False
    is_whole = any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.integer, jnp.bool_))
    return is_whole or (jnp.issubdtype(value.dtype, jnp.inexact) and value.size <= MOST_KNOWN)
