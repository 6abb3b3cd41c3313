"""What a solve is given: what is known before it starts, and what it depends on."""

from dataclasses import dataclass
from typing import NamedTuple

import jax

from ..tableaus._tableau import Tableau
from ._control import Control, Errors, Tolerances
from ._step import Leaves


@dataclass(frozen=True)
class Options:
    """What is known of a solve before it starts.

    Args:
        tableau: the method.
        control: how steps are chosen.
        max_steps: the number of steps, rejected ones included, after which it gives up.
        capacity: states to remember for derivatives.
        samples: leading axes of the state that are of samples.
        written_out: whether the derivative of a step has its stages one by one, and not in a loop.
        again: whether the derivative takes the steps again, and does not keep their record.
    """

    tableau: Tableau
    control: Control
    max_steps: int
    capacity: int
    samples: int
    written_out: bool = False
    again: bool = False


class Given(NamedTuple):
    """What a solve is differentiated with respect to.

    Attributes:
        t0: start.
        t1: end.
        ts: (n,) times between at which the state is wanted.
        y0: the state at the start.
        parameters: what the field needs.
    """

    t0: jax.Array
    t1: jax.Array
    ts: jax.Array
    y0: Leaves
    parameters: list[jax.Array]


class Steering(NamedTuple):
    """What steps depend on, and the solution only through them.

    Attributes:
        rtol: relative tolerances, for each leaf.
        atol: absolute tolerances; None for a leaf outside of the error norm.
        dt0: first step, or None.
        errors: of the steps before it; None where there are none.
    """

    rtol: Leaves
    atol: Tolerances
    dt0: jax.Array | None
    errors: Errors | None = None
