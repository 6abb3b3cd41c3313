"""The stages of a step of arrays, by whatever method."""

import jax
import numpy as np

from ..tableaus._rosenbrock import Rosenbrock
from ..tableaus._tableau import Tableau
from ._linear_stages import linear_stages
from ._step import (
    Field,
    Leaves,
    advanced,
    in_line,
    no_stages,
    no_stages_in_line,
    table_of,
    with_stages,
)


def all_stages(
    tableau: Tableau, field: Field, t: jax.Array, h: jax.Array, y: Leaves, count: int | None = None
) -> Leaves:
    """The stages of the step from y at t over h, a row for each.

    Args:
        tableau: the method.
        field: what is solved.
        t: the start of the step.
        h: its length.
        y: the state there.
        count: the number of the first ones that are wanted; None for all, with those of the
            solution inside.
    """
    if isinstance(tableau, Rosenbrock):
        return linear_stages(tableau, field, t, h, y)
    table = table_of(tableau, y)
    count = len(table.c) if count is None else count
    return with_stages(field, t, h, y, table, no_stages(count, y), 0, np.int32(count))


def end_of_step(
    field: Field,
    tableau: Tableau,
    t: jax.Array,
    h: jax.Array,
    y: Leaves,
    by_components: bool,
) -> Leaves:
    """The state at the end of the step from `y`."""
    count = tableau.num_stages - int(tableau.fsal)
    if by_components:
        table = table_of(tableau, y)
        stages = in_line(field, t, h, y, table, no_stages_in_line(y), count)
    else:
        stages = all_stages(tableau, field, t, h, y, count)
    return advanced(y, h, tableau.float64.b[:count], stages)
