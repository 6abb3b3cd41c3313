"""What is solved: layers, and functions in the form of layers."""

from collections.abc import Callable
from typing import Any, Protocol

from jaxtyping import Array, PyTree

from ...core import Record
from ..method._method import Method

VectorField = Callable[[Array, PyTree], PyTree]
Inputs = Record | None
"""The signals of a problem by name."""


class Solvable(Protocol):
    """What `run` needs of a layer; `ODELayer` says what each attribute means."""

    @property
    def vector_field(self) -> Callable[..., VectorField]:
        """Returns f(t, u) of parameters and states, and of the inputs where there are some."""
        ...

    @property
    def method(self) -> Method: ...

    @property
    def tspan(self) -> tuple[float, ...] | None: ...

    @property
    def saveat(self) -> tuple[float, ...] | None: ...

    @property
    def batch_axis(self) -> int | None: ...

    @property
    def parameters_axes(self) -> Any:
        """With times of each sample, of each leaf of the parameters 0 where they are of each too,
        else None; None where all samples share all."""
        ...

    @property
    def state_policy(self) -> str: ...

    @property
    def running_cost(self) -> Callable[..., PyTree] | None: ...

    @property
    def events(self) -> tuple[Any, ...]: ...

    @property
    def max_events(self) -> int: ...
