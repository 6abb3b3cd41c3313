"""ForwardKernel: the solve of an ensemble."""

from dataclasses import dataclass

import jax
import numpy as np

from ...kernels import Source
from ..derivative._derivative import Found
from ..forward._ended import Tried
from ..forward._loop import Given, Options, Steering
from ..steps._control import Errors
from ..steps._record import Record
from ._constants_text import constants_text, control_text
from ._kernel_text import device_text, numbered, source_of
from ._method_text import method_text


@dataclass(frozen=True)
class ForwardKernel:
    """The kernel of `_derivative._taken`, of states whose leaves are scalars.

    Its operands are the leaves of `Given` and `Steering`, its results those of `Found`.

    Args:
        field: from `field_text`.
        dtype: of everything that is not an integer.
        components: of the state.
        parameters: their number.
        wanted: the number of times at which the state is wanted.
        in_norm: of each component, whether it has an absolute tolerance.
        has_first_step: whether that is given.
        continues: whether the errors of the steps before are given.
        remember: whether the record is wanted.
        options: of the solve.
    """

    field: str
    dtype: np.dtype
    components: int
    parameters: int
    wanted: int
    in_norm: tuple[bool, ...]
    has_first_step: bool
    continues: bool
    remember: bool
    options: Options

    @property
    def operands(self) -> tuple[Given, Steering]:
        """What each operand is in C."""
        absolute = zip(numbered("atol", self.components), self.in_norm, strict=True)
        given = [
            *("t0", "t1", "ts"),
            numbered("y0", self.components),
            numbered("parameters", self.parameters),
        ]
        steering = [
            numbered("rtol", self.components),
            [name if inside else None for name, inside in absolute],
            "dt0" if self.has_first_step else None,
            Errors._make(numbered("errors", 2)) if self.continues else None,
        ]
        return Given._make(given), Steering._make(steering)

    @property
    def results(self) -> Found:
        """What each result is in C."""
        states = numbered("states", self.components)
        record = Record._make(["lengths", "starts", states, "recorded", "stride"])
        errors = Errors._make(numbered("errors", 2))
        found = [
            numbered("y1", self.components),
            numbered("ys", self.components) if self.wanted else [],
            *("s", "accepted"),
            Tried._make(["steps", "evaluations", "first", "following", errors]),
            "result",
            record if self.remember else None,
        ]
        return Found._make(found)

    def source(self, mapped: tuple[bool, ...]) -> Source:
        """The text.

        Args:
            mapped: of each operand, whether it has a batch axis, its last; others are shared.
        """
        counts = {
            "D": self.components,
            "P": max(self.parameters, 1),
            "PARAMETERS": self.parameters,
            "WANTED": self.wanted,
            "FIRST_GIVEN": int(self.has_first_step),
            "CONTINUES": int(self.continues),
            "RECORDED": int(self.remember),
        }
        parts = [
            device_text("prelude.h"),
            constants_text(self.options, self.dtype, counts),
            control_text(self.options, self.dtype, self.in_norm),
            self.field,
            method_text(self.options, self.dtype),
            device_text("step.h", "control.h", "forward.h"),
        ]
        operands, results = map(jax.tree.leaves, (self.operands, self.results))
        return source_of("solve_ensemble", parts, "solve", operands, results, mapped)
