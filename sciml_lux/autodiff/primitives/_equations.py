"""What is read from an equation of a program."""

import jax.numpy as jnp

from ...programs import Atom, JaxprEqn


def shape_of(atom: Atom) -> tuple[int, ...]:
    """The shape of an operand or result; () for what is not an array."""
    return getattr(atom.aval, "shape", ())


def operand_shapes(equation: JaxprEqn) -> list[tuple[int, ...]]:
    """The shapes of the operands of `equation`."""
    return [shape_of(atom) for atom in equation.invars]


def has_derivative(atom: Atom) -> bool:
    """Whether an operand or result is an array of floats, real or complex."""
    dtype = getattr(atom.aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)
