"""Digits cut by what has no derivative: rounding, integers, bits."""

import collections
from typing import Any, NamedTuple

import jax.numpy as jnp

from ..programs import ClosedJaxpr, JaxprEqn, Literal, primitive_name
from ._graph import Graph, reached
from ._widened import MOVES

_CASTS = ("convert_element_type", "bitcast_convert_type")
_SCALING = MOVES | {"convert_element_type", "mul", "div"}


def rounded(program: ClosedJaxpr) -> dict[int, str]:
    """The ids of equations that give back a float with digits cut off, and what is told of them.

    Such are `round`, and what makes a float of an integer, or of bits, that was made of a float.
    In x - round(x) the digits go on, so there is nothing to tell.
    """
    flow = _Flow()
    flow.read(program)
    made_of_floats = reached(flow.integers_of_floats, flow.targets)
    return {
        cut.equation: cut.told
        for cut in flow.cuts
        if (cut.is_round or cut.before in made_of_floats) and not flow.has_remainder(cut)
    }


class _Cut(NamedTuple):
    """An equation after which digits are gone, its operand and its result."""

    equation: int
    before: Any
    after: Any
    is_round: bool
    told: str


class _Use(NamedTuple):
    """An equation that a value goes into: the first operand of a difference, and the results."""

    name: str
    minuend: Any
    results: list[Any]


class _Flow(Graph):
    """Where floats and integers come from and what they go into."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[_Cut] = []
        self.integers_of_floats: set[Any] = set()
        self.leaving: set[Any] = set()
        self.uses: dict[Any, list[_Use]] = collections.defaultdict(list)

    def is_node(self, aval: Any) -> bool:
        return _is(aval, jnp.inexact) or _is(aval, jnp.integer)

    def boundary(self, before: list[Any], after: list[Any]) -> None:
        self.leaving.update(after)

    def plain(self, equation: JaxprEqn, before: list[Any], after: list[Any]) -> None:
        name = primitive_name(equation)
        if len(before) == len(after) == 1:
            self._cast(name, equation, before[0], after[0])
        first = before[0] if before and not isinstance(equation.invars[0], Literal) else None
        for node in before:
            minuend = first if name == "sub" and node != first else None
            self.uses[node].append(_Use(name, minuend, after))
        for node in after:
            self.link(before, [node] * len(before))

    def _cast(self, name: str, equation: JaxprEqn, before: Any, after: Any) -> None:
        source, result = equation.invars[0].aval, equation.outvars[0].aval
        if name == "round":
            told = f"round of {_name(source)}"
            self.cuts.append(_Cut(id(equation), before, after, True, told))
        elif name in _CASTS and _is(source, jnp.inexact) and _is(result, jnp.integer):
            self.integers_of_floats.add(after)
        elif name in _CASTS and _is(source, jnp.integer) and _is(result, jnp.inexact):
            through = "bits" if name == "bitcast_convert_type" else _name(source)
            told = f"float -> {through} -> {_name(result)}"
            self.cuts.append(_Cut(id(equation), before, after, False, told))

    def has_remainder(self, cut: _Cut) -> bool:
        """Whether all that comes of a cut, scaled or moved, is taken from what was cut."""
        origins = reached([cut.before], self.sources)
        ahead, seen = [cut.after], {cut.after}
        while ahead:
            node = ahead.pop()
            uses = self.uses.get(node, [])
            others = [use for use in uses if use.minuend not in origins]
            if node in self.leaving or any(use.name not in _SCALING for use in others):
                return False
            inner = self.targets.get(node, set()) if not uses else ()
            new = {*inner, *(result for use in others for result in use.results)} - seen
            seen |= new
            ahead.extend(new)
        return True


def _is(aval: Any, kind: Any) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, kind))


def _name(aval: Any) -> str:
    return str(aval.dtype)
