"""Half precision that is widened, moved or added up, and narrowed again, as sums should."""

import itertools
from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jax.core import AbstractValue

from ..programs import Atom, ClosedJaxpr, JaxprEqn, primitive_name, walk
from ._graph import Graph, Node, reached

HALVES = (jnp.dtype(jnp.float16), jnp.dtype(jnp.bfloat16))
MOVES = frozenset(
    {"broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "dynamic_slice", "gather"}
    | {"rev", "concatenate", "pad", "select_n", "copy", "copy_p", "split", "sort", "scatter"}
    | {"dynamic_update_slice", "optimization_barrier", "neg", "max", "min", "reduce_max"}
    | {"reduce_min", "reduce_window_max", "reduce_window_min", "select_and_gather_add", "cummax"}
    | {"cummin", "device_put", "sharding_constraint", "name"}
)
_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "is_finite"})
ADDS = frozenset({"add", "add_any", "sub"})
# Products are among them: the transpose of a product is a product, or a sum of products.
_SUMS = ADDS | {"reduce_sum", "cumsum", "scatter-add", "reduce_window_sum", "psum"}
_SUMS |= {"select_and_scatter_add", "dot_general", "conv_general_dilated", "mul", "div"}


def of_accumulation(program: ClosedJaxpr) -> set[int]:
    """The ids of the equations that widen or narrow for an accumulation.

    A widening does if all that uses it moves it, multiplies it, adds it up, or narrows it to the
    dtype it had; a narrowing does if its operand comes from nothing else. Loops, calls and branches
    are followed.
    """
    # A transposed loop may use one program in two places: it must accumulate in both.
    found, others = set(), set()
    for half in _halves(program):
        flow = _Flow(half)
        flow.read(program)
        for equation, is_one in flow.judged():
            (found if is_one else others).add(equation)
    return found - others


def _halves(program: ClosedJaxpr) -> list[np.dtype]:
    """The dtypes of half precision in `program`."""
    equations = (visit.equation for visit in walk(program))
    results = itertools.chain.from_iterable(e.outvars for e in equations if e is not None)
    dtypes = {getattr(v.aval, "dtype", None) for v in (*results, *program.jaxpr.invars)}
    return [half for half in HALVES if half in dtypes]


class _Flow(Graph):
    """What is wider than `half`: where it comes from, and what uses it."""

    def __init__(self, half: np.dtype) -> None:
        super().__init__()
        self.half = half
        self.computed_with: set[Node] = set()
        self.computed: set[Node] = set()
        self.widened: list[tuple[int, list[Node]]] = []
        self.narrowed: list[tuple[int, list[Node]]] = []

    def judged(self) -> Iterable[tuple[int, bool]]:
        """The id of each equation that widens or narrows, and whether for an accumulation."""
        ends = reached(self.computed_with, self.sources)
        starts = reached(self.computed, self.targets)
        yield from ((e, not ends.intersection(nodes)) for e, nodes in self.widened)
        yield from ((e, not starts.intersection(nodes)) for e, nodes in self.narrowed)

    def is_node(self, aval: AbstractValue) -> bool:
        dtype = getattr(aval, "dtype", None)
        return dtype is not None and dtype != self.half and jnp.issubdtype(dtype, jnp.inexact)

    def boundary(self, before: list[Node], after: list[Node]) -> None:
        self.computed.update(before)
        self.computed_with.update(after)

    def plain(self, equation: JaxprEqn, before: list[Node], after: list[Node]) -> None:
        from_half, to_half = map(self._has_half, (equation.invars, equation.outvars))
        name = primitive_name(equation)
        if from_half and after:
            self.widened.append((id(equation), after))
        if name == "convert_element_type" and before and to_half:
            self.narrowed.append((id(equation), before))
        elif name in MOVES | _SUMS | _COMPARISONS:
            for node in after:
                self.link(before, [node] * len(before))
        elif not (name == "convert_element_type" and from_half):
            self.computed_with.update(before)
            self.computed.update(after)

    def _has_half(self, atoms: Iterable[Atom]) -> bool:
        return any(getattr(atom.aval, "dtype", None) == self.half for atom in atoms)
