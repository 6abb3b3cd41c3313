"""Which states of a model an evaluation changes, read from its program, and their names."""

from collections.abc import Sequence

import jax

from ..programs import ClosedJaxpr, origins
from ._tree import path_name
from ._types import States


def changed_states(program: ClosedJaxpr, count: int) -> list[int]:
    """Which of `count` states change, of a program that ends with those before and those after.

    A state changes if the program computes it, though the number be the same.
    """
    found = origins(program)
    before, after = found[-2 * count : -count], found[-count:] if count else []
    return [index for index in range(count) if before[index] is not after[index]]


def states_at(st: States, places: Sequence[int]) -> str:
    """The first of the states at these numbers by its path, and how many others there are."""
    path, _ = jax.tree_util.tree_leaves_with_path(st)[places[0]]
    others = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"the state `{path_name(path)}`{others}"
