"""Digits that are cut by stages without a derivative: rounding, integers, bits."""

import collections
from collections.abc import Callable, Set
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.core import AbstractValue

from ..programs import ClosedJaxpr, JaxprEqn, Literal, primitive_name
from ._graph import Graph, Node, reached
from ._widened import MOVES

_ROUND = ("round", "floor", "ceil")
_CASTS = ("convert_element_type", "bitcast_convert_type")
_PRODUCTS = frozenset({"mul", "div"})
_OF_LOW_ZEROS: dict[str, Callable] = {"and": max, "add": min, "sub": min}
_SCALING = MOVES | _PRODUCTS | {"convert_element_type"}


def rounded(program: ClosedJaxpr) -> dict[int, str]:
    """The ids of equations that return a float with digits cut off, with details.

    These are `round`, `floor` and `ceil`, and conversions to float of an integer or bits that came
    from a float. x - round(x) and round(x) - x keep the digits and are not listed, nor is the
    rounding of what comes from no argument, nor x times a power of two that was made from the
    exponent of x.
    """
    flow = _Flow()
    flow.read(program)
    made_of_floats = reached(flow.integers_of_floats, flow.targets)
    given = reached(flow.entering, flow.targets)
    return {
        cut.equation: cut.told
        for cut in flow.cuts
        if cut.before in (given if cut.is_round else made_of_floats)
        and not (flow.has_remainder(cut) or flow.only_scales(cut))
    }


class _Cut(NamedTuple):
    """An equation that cuts digits, with its operand and its result."""

    equation: int
    before: Node
    after: Node
    is_round: bool
    is_power: bool
    told: str


class _Use(NamedTuple):
    """An equation that uses a value; in a difference of two, the `other` is there too."""

    name: str
    operands: list[Node]
    other: Node | None
    results: list[Node]


class _Flow(Graph):
    """Where floats and integers come from, and what uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[_Cut] = []
        self.integers_of_floats: set[Node] = set()
        self.entering: set[Node] = set()
        self.leaving: set[Node] = set()
        self.low_zeros: dict[Node, int] = {}
        self.uses: dict[Node, list[_Use]] = collections.defaultdict(list)

    def is_node(self, aval: AbstractValue) -> bool:
        return _is(aval, jnp.inexact) or _is(aval, jnp.integer)

    def boundary(self, before: list[Node], after: list[Node]) -> None:
        self.entering.update(before)
        self.leaving.update(after)

    def plain(self, equation: JaxprEqn, before: list[Node], after: list[Node]) -> None:
        name = primitive_name(equation)
        if len(before) == len(after) == 1:
            self._cast(name, equation, before[0], after[0])
        for node in after:
            self.low_zeros[node] = self._low_zeros(name, equation, before)
        for node in before:
            others = [other for other in before if other != node]
            other = others[0] if name == "sub" and others else None
            self.uses[node].append(_Use(name, before, other, after))
        for node in after:
            self.link(before, [node] * len(before))

    def _cast(self, name: str, equation: JaxprEqn, before: Node, after: Node) -> None:
        source: Any = equation.invars[0].aval
        result: Any = equation.outvars[0].aval
        if name in _ROUND:
            told = f"{name} of {_name(source)}"
            self.cuts.append(_Cut(id(equation), before, after, True, False, told))
        elif name in _CASTS and _is(source, jnp.inexact) and _is(result, jnp.integer):
            self.integers_of_floats.add(after)
        elif name in _CASTS and _is(source, jnp.integer) and _is(result, jnp.inexact):
            through = "bits" if name == "bitcast_convert_type" else _name(source)
            told = f"float -> {through} -> {_name(result)}"
            is_power = through == "bits" and (
                self.low_zeros.get(before, 0) >= jnp.finfo(result.dtype).nmant
            )
            self.cuts.append(_Cut(id(equation), before, after, False, is_power, told))

    def _low_zeros(self, name: str, equation: JaxprEqn, before: list[Node]) -> int:
        """How many low bits of an equation's integer result are zero for all operands."""
        if name not in _OF_LOW_ZEROS:
            return 0
        literals = [atom.val for atom in equation.invars if isinstance(atom, Literal)]
        known = [self.low_zeros.get(node, 0) for node in before] + list(map(_zeros_of, literals))
        return _OF_LOW_ZEROS[name](known)

    def has_remainder(self, cut: _Cut) -> bool:
        """Whether the result of a cut, scaled or moved, is only compared with what was cut.

        In a difference, that is; or made an integer, as a float made of that is a cut of its own.
        """
        origins = reached([cut.before], self.sources)

        def keeps(use: _Use) -> bool:
            return use.other in origins or self.integers_of_floats.issuperset(use.results)

        return self._ends(cut, keeps, _SCALING)

    def only_scales(self, cut: _Cut) -> bool:
        """Whether a cut leaves a power of two that only scales what was cut or depends on it."""
        if not cut.is_power:
            return False
        # What depends on the origins by a way around the cuts has digits of its own.
        cuts = {cut.after for cut in self.cuts}
        onward = {node: after for node, after in self.targets.items() if node not in cuts}
        others = reached(reached([cut.before], self.sources), onward) - cuts

        def scales(use: _Use) -> bool:
            return use.name in _PRODUCTS and not others.isdisjoint(use.operands)

        return self._ends(cut, scales, MOVES)

    def _ends(self, cut: _Cut, is_end: Callable[[_Use], bool], passed: Set[str]) -> bool:
        """Whether every use of a cut ends so, after equations of the names `passed` alone."""
        ahead, seen = [cut.after], {cut.after}
        while ahead:
            node = ahead.pop()
            uses = self.uses.get(node, [])
            others = [use for use in uses if not is_end(use)]
            if node in self.leaving or any(use.name not in passed for use in others):
                return False
            inner = self.targets.get(node, set()) if not uses else ()
            new = {*inner, *(result for use in others for result in use.results)} - seen
            seen |= new
            ahead.extend(new)
        return True


def _zeros_of(value: Any) -> int:
    """How many low bits of a number are zero; 0 for what is not an integer."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
        return 0
    bits = int(value)
    return (bits & -bits).bit_length() - 1 if bits else jnp.iinfo(jnp.result_type(value)).bits


def _is(aval: AbstractValue, kind: type) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, kind))


def _name(aval: Any) -> str:
    return str(aval.dtype)
