"""The form of a field: steps take its state as arrays, or as the components of them."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ..._primitive import ClosedJaxpr
from ...by_components import by_components, why_not_by_components
from ...kernels import Kernel
from ._mass import field_with
from ._step import Field, Leaves

ParametricField = Callable[[list[jax.Array], jax.Array, Leaves], Leaves]
"""du/dt of parameters, a time and the leaves of a state."""

Shapes = Sequence[tuple[int, ...]]


class Fields(NamedTuple):
    """A field with its parameters.

    Attributes:
        of_steps: of leaves as steps have them.
        of_arrays: of whole arrays.
        shapes: of the arrays of a state; None where steps have whole arrays.
    """

    of_steps: Field
    of_arrays: Field
    shapes: Shapes | None

    @property
    def by_components(self) -> bool:
        """Whether steps have components."""
        return self.shapes is not None

    def states(self, leaves: Leaves) -> Leaves:
        """The arrays of a state, of leaves as steps have them."""
        return leaves if self.shapes is None else joined(leaves, self.shapes)


MOST_ALONE = 128
MOST_OF_MANY = 1024
"""Operations of the field times components of state and parameters, of one solve and of one of many
solves: XLA's loop of each result of a step, and of each of its cotangents, repeats what the others
compute, and all of them are to be compiled."""


class Kernels(Protocol):
    """The kernels of a solve by components."""

    def forward(self, remember: bool) -> Kernel:
        """That of the solve, with or without the record of its steps."""
        ...

    def backward(self, moving: tuple[bool, ...]) -> Kernel:
        """That of the transpose of its recorded steps, for these parameters and the state."""
        ...


@dataclass(frozen=True, eq=False)
class Form:
    """A field as steps take it, and of whole arrays as what is not in every step does.

    Args:
        field: of leaves as steps have them: whole arrays, or numbers, the components of them.
        whole: of whole arrays.
        shapes: of the arrays of a state; None where steps have whole arrays.
        parameter_shapes: of the arrays of parameters.
        kernels: of the solve; None where it has none.
    """

    field: ParametricField
    whole: ParametricField
    shapes: Shapes | None = None
    parameter_shapes: Shapes = ()
    kernels: Kernels | None = None

    @property
    def by_components(self) -> bool:
        """Whether steps have components."""
        return self.shapes is not None

    def split(self, arrays: Leaves) -> Leaves:
        """Leaves as steps have them, of whole arrays."""
        return components(arrays) if self.by_components else arrays

    def states(self, leaves: Leaves) -> Leaves:
        """The arrays of a state, of leaves as steps have them; none of none."""
        return leaves if self.shapes is None or not leaves else joined(leaves, self.shapes)

    def split_rows(self, arrays: Leaves) -> Leaves:
        """Leaves as steps have them, of arrays that have an axis of wanted times before them."""
        if self.shapes is None:
            return arrays
        flat = [jnp.reshape(array, (len(array), -1)) for array in arrays]
        return [rows[:, i] for rows in flat for i in range(rows.shape[1])]

    def parameters(self, leaves: Leaves) -> Leaves:
        """The arrays of parameters, of leaves as steps have them."""
        return joined(leaves, self.parameter_shapes) if self.by_components else leaves

    def parameter_tangents(
        self, tangents: Sequence[jax.Array | None], leaves: Leaves
    ) -> list[jax.Array | None]:
        """Tangents of the arrays of parameters, None where all components have none."""
        rest, found = iter(zip(tangents, leaves, strict=True)), []
        for shape in self.parameter_shapes:
            pairs = [next(rest) for _ in range(math.prod(shape))]
            moves = any(d is not None for d, _ in pairs)
            parts = [jnp.zeros_like(x) if d is None else d for d, x in pairs]
            found.append(_array(parts, shape) if moves else None)
        return found

    def at(self, parameters: Leaves) -> Fields:
        """The field with these parameters, leaves as steps have them."""
        of_arrays = functools.partial(self.whole, self.parameters(parameters))
        return Fields(field_with(self.field, parameters), of_arrays, self.shapes)


def arrays(field: ParametricField) -> Form:
    """The form of whole arrays."""
    return Form(field, field)


def components(arrays: Sequence[jax.Array]) -> Leaves:
    """The components of all arrays, one after the other."""
    flat = [jnp.reshape(array, -1) for array in arrays]
    return [line[i] for line in flat for i in range(line.size)]


def joined(leaves: Sequence[jax.Array], shapes: Shapes) -> Leaves:
    """The arrays whose components these are; arrays of components give arrays of arrays."""
    rest = iter(leaves)
    return [_array([next(rest) for _ in range(math.prod(s))], s) for s in shapes]


def _array(parts: Sequence[jax.Array], shape: tuple[int, ...]) -> jax.Array:
    """An array of components, which may have axes before them: those of wanted times."""
    stacked = jnp.stack(parts, axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *shape)


def form_of(
    program: ClosedJaxpr, whole: ParametricField, state: slice, most: int, reason: str
) -> tuple[Form, str]:
    """The form in which steps take a field, and why not that of components; empty if it is.

    Args:
        program: of the field, of parameters, a time, the state and more parameters.
        whole: the same as a function.
        state: where the leaves of the state are among the operands of `program`.
        most: operations times components.
        reason: why components are not asked for; empty if they are.
    """
    reason = reason or _why_not(program, most)
    if reason:
        return arrays(whole), reason
    types = program.in_avals
    return Form(
        _by_components(program, state),
        whole,
        [t.shape for t in types[state]],
        [t.shape for t in (*types[: state.start - 1], *types[state.stop :])],
    ), ""


def _why_not(program: ClosedJaxpr, most: int) -> str:
    types: list[Any] = program.in_avals
    if any(jnp.issubdtype(t.dtype, jax.dtypes.extended) for t in types):
        return "It takes random keys, which are arrays."
    sizes = [t.size for t in types]
    if min(sizes) == 0:
        return "An array of its state or of its parameters has no components."
    if (number := sum(sizes) - 1) > most:
        return f"State and parameters have {number} components, more than {most}."
    return why_not_by_components(program, most // number)


def _by_components(program: ClosedJaxpr, state: slice) -> ParametricField:
    function = by_components(program)
    dtypes = [t.dtype for t in program.in_avals for _ in range(t.size)]
    sizes = [t.size for t in program.in_avals]
    before = sum(sizes[: state.start - 1])

    def field(parameters: list[jax.Array], t: jax.Array, y: Leaves) -> Leaves:
        operands = [*parameters[:before], t, *y, *parameters[before:]]
        pairs = zip(operands, dtypes, strict=True)
        found = function(*(x if x.dtype == d else x.astype(d) for x, d in pairs))
        return [jnp.asarray(k).astype(u.dtype) for k, u in zip(found, y, strict=True)]

    return field
