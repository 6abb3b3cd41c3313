"""Half precision that is widened, moved or added up, and narrowed again: how sums keep digits."""

import itertools
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..programs import ClosedJaxpr, JaxprEqn, primitive_name, walk
from ._graph import Graph, reached

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
# Products among them: the transpose of a product is one as well, and a sum of such.
_SUMS = ADDS | {"reduce_sum", "cumsum", "scatter-add", "reduce_window_sum", "psum"}
_SUMS |= {"select_and_scatter_add", "dot_general", "conv_general_dilated", "mul", "div"}


def of_accumulation(program: ClosedJaxpr) -> set[int]:
    """The ids of the equations whose widening or narrowing is that of an accumulation.

    A widening is, if all that it goes into moves it, multiplies it, adds it
    up, or narrows it to the dtype it had;
    a narrowing is, if all that it comes from is such. Loops, calls and branches are passed through.
    """
    # A transposed loop may have a program that stands in two places: it must be one in both.
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
    """What is wider than `half`: from where it comes and what it goes into."""

    def __init__(self, half: np.dtype) -> None:
        super().__init__()
        self.half = half
        self.computed_with: set[Any] = set()
        self.computed: set[Any] = set()
        self.widened: list[tuple[int, list[Any]]] = []
        self.narrowed: list[tuple[int, list[Any]]] = []

    def judged(self) -> Iterable[tuple[int, bool]]:
        """The id of each equation that widens or narrows, and whether an accumulation does."""
        ends = reached(self.computed_with, self.sources)
        starts = reached(self.computed, self.targets)
        yield from ((e, not ends.intersection(nodes)) for e, nodes in self.widened)
        yield from ((e, not starts.intersection(nodes)) for e, nodes in self.narrowed)

    def is_node(self, aval: Any) -> bool:
        dtype = getattr(aval, "dtype", None)
        return dtype is not None and dtype != self.half and jnp.issubdtype(dtype, jnp.inexact)

    def boundary(self, before: list[Any], after: list[Any]) -> None:
        self.computed.update(before)
        self.computed_with.update(after)

    def plain(self, equation: JaxprEqn, before: list[Any], after: list[Any]) -> None:
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

    def _has_half(self, atoms: Iterable[Any]) -> bool:
        return any(getattr(atom.aval, "dtype", None) == self.half for atom in atoms)
