"""Solved: the result of a solve."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import PyTree

from ...core import Static
from .recorded._estimates import Estimates
from .recorded._stored import Stored
from .steps._control import Errors


class Solved(NamedTuple):
    """The result of `solve`.

    Attributes:
        y1: the state at t1, a tree like y0.
        ys: the states at `ts`, with a leading axis of their number; None without `ts`. Where t1 was
            not reached, these two and their derivatives are NaN.
        t: the time reached.
        y: the state there, finite and without derivatives.
        num_accepted: int32, steps that were accepted.
        num_steps: int32, all steps.
        num_evaluations: int32, evaluations of the field, by this solve alone: those of a batch go
            on until all of it has ended.
        first_step: the length of the first accepted step; 0 where there is none.
        next_step: the length of the step that would come next.
        errors: of the last accepted step and of that before, relative to the tolerance.
        result: int32, why it ended: `SUCCESSFUL`, `MAX_STEPS`, `STATE_NOT_FINITE` and
            `FIELD_NOT_FINITE` at t0, `DIVERGED`: however short a step was, the state after it was
            not finite, or `NO_STEP`: however short, its error was too large.
        between: the state at a time, a function and a tree; None without `dense`. At times before
            t0 or that were not reached it is not a number.
        estimates: how hard it was, with derivatives; None unless they are asked for. Not numbers
            where t1 was not reached.
        stored: the state between the steps as polynomials; None unless they are asked for.
        lengths: (max_steps,) those of the steps, as fractions of t1 - t0, with zeros between and
            after them; without derivatives. None unless they are asked for.
        why_by_arrays: why steps are taken by arrays, and not by components; empty if they are by
            components.
        why_no_kernel: why the solve has no kernel; empty if it has one.
    """

    y1: PyTree
    ys: PyTree
    t: jax.Array
    y: PyTree
    num_accepted: jax.Array
    num_steps: jax.Array
    num_evaluations: jax.Array
    first_step: jax.Array
    next_step: jax.Array
    errors: Errors
    result: jax.Array
    between: Callable[[jax.Array], PyTree] | None = None
    estimates: Estimates | None = None
    stored: Stored | None = None
    lengths: jax.Array | None = None
    why_by_arrays: Static = Static("Its steps are by arrays.")
    why_no_kernel: Static = Static("Its steps are by arrays.")
