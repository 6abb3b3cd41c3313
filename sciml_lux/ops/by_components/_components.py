"""Arrays of components: NumPy arrays whose entries are atoms."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import jax
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ._emitter import Atom

Components: TypeAlias = np.ndarray
"""Of dtype object; of numbers alone also of their own, which holds many of them."""


def array_of(atoms: Iterable[Atom], shape: Sequence[int]) -> Components:
    """The array of this shape with these entries, in order of rows."""
    found = np.empty(math.prod(shape), object)
    for i, atom in enumerate(atoms):
        found[i] = atom
    return found.reshape(tuple(shape))


def split(atoms: Sequence[Atom], shapes: Sequence[Sequence[int]]) -> list[Components]:
    """Arrays of these shapes, one after the other."""
    rest = iter(atoms)
    return [array_of((next(rest) for _ in range(math.prod(s))), s) for s in shapes]


def joined(arrays: Iterable[Components]) -> list[Atom]:
    """The entries of all arrays, one after the other."""
    return [atom for array in arrays for atom in array.flat]


def lifted(constant: ArrayLike) -> Components:
    """The components of a constant of a program."""
    kind = jax.typeof(constant)
    if isinstance(constant, Tracer):
        flat = constant.reshape(-1)
        return array_of((flat[i] for i in range(flat.size)), kind.shape)
    return np.asarray(constant, kind.dtype)


def are_numbers(components: Components) -> bool:
    """Whether the array is one of numbers, and not of atoms."""
    return components.dtype != object


def of_atoms(components: Components) -> Components:
    """The same of dtype object."""
    if are_numbers(components):
        return array_of(components.flat, components.shape)
    return components


def is_constant(components: Components) -> bool:
    """Whether every entry is a number."""
    return are_numbers(components) or all(isinstance(a, np.generic) for a in components.flat)


def numbers(components: Components, dtype: np.dtype) -> np.ndarray:
    """Entries that are all numbers, as an array of them."""
    if are_numbers(components):
        return components
    return np.array(list(components.flat), dtype).reshape(components.shape)
