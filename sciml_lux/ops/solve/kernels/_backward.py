"""BackwardKernel: the cotangents of the recorded steps of an ensemble."""

from dataclasses import dataclass

import numpy as np

from ...kernels import Source
from ..forward._loop import Options
from ._constants_text import constants_text
from ._kernel_text import device_text, numbered, source_of
from ._method_text import method_text, transposed_method_text


@dataclass(frozen=True)
class BackwardKernel:
    """The kernel of the transpose of the recorded steps, by the state at the start and parameters.

    Args:
        field: from `field_text`.
        field_vjp: from `field_vjp_text`, of the parameters that move.
        dtype: of everything that is not an integer.
        components: of the state.
        moving: of each parameter, whether its cotangent is wanted.
        wanted: the number of times at which the state is wanted.
        options: of the solve.
    """

    field: str
    field_vjp: str
    dtype: np.dtype
    components: int
    moving: tuple[bool, ...]
    wanted: int
    options: Options

    @property
    def operands(self) -> list[str]:
        """What each operand is in C."""
        return [
            *("t0", "t1", "ts"),
            *numbered("parameters", len(self.moving)),
            *("lengths", "starts"),
            *numbered("states", self.components),
            *("recorded", "stride"),
            *numbered("y1", self.components),
            *(numbered("ys", self.components) if self.wanted else []),
        ]

    @property
    def results(self) -> list[str]:
        """What each result is in C: the cotangents of moving parameters, then of y0."""
        return [*numbered("parameters", sum(self.moving)), *numbered("y0", self.components)]

    def source(self, mapped: tuple[bool, ...]) -> Source:
        """The text.

        Args:
            mapped: of each operand, whether it has a batch axis, its last; others are shared.
        """
        counts = {
            "D": self.components,
            "P": max(len(self.moving), 1),
            "PARAMETERS": len(self.moving),
            "MOVING": sum(self.moving),
            "WANTED": self.wanted,
        }
        parts = [
            device_text("prelude.h"),
            constants_text(self.options, self.dtype, counts),
            self.field,
            self.field_vjp,
            method_text(self.options, self.dtype),
            transposed_method_text(self.options, self.dtype),
            device_text("step.h", "backward.h"),
        ]
        return source_of(
            "transpose_ensemble", parts, "transpose", self.operands, self.results, mapped
        )
