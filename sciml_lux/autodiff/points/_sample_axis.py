"""SampleAxis: where in an array the samples are."""

from typing import NamedTuple, TypeAlias

from ...programs import JaxprEqn


class SampleAxis(NamedTuple):
    """The axis along which samples lie: each entry depends on the points of its own sample alone.

    After a reshape the samples may share the axis with others: its index is then
    `(outer, sample, inner)`.

    Attributes:
        axis: the axis.
        inner: how many entries of the axis stand side by side for one sample.
    """

    axis: int
    inner: int = 1


class Mixed(NamedTuple):
    """Entries depend on the points of several samples.

    Attributes:
        equation: the first that mixed them.
    """

    equation: JaxprEqn


CURRENT = SampleAxis(-1)
"""Inside a loop over the samples: the whole array belongs to the sample of this iteration."""

Place: TypeAlias = SampleAxis | Mixed | None
"""Where the samples are; None for what has no derivative with respect to the points."""
