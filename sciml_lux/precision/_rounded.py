"""Digits cut by what has no derivative: rounding, integers, bits."""

import collections
from collections.abc import Callable, Set
from typing import Any, NamedTuple

import jax.numpy as jnp

from ..programs import ClosedJaxpr, JaxprEqn, Literal, primitive_name
from ._graph import Graph, reached
from ._widened import MOVES

_CASTS = ("convert_element_type", "bitcast_convert_type")
_PRODUCTS = frozenset({"mul", "div"})
_OF_LOW_ZEROS: dict[str, Callable] = {"and": max, "add": min, "sub": min}
_SCALING = MOVES | _PRODUCTS | {"convert_element_type"}


def rounded(program: ClosedJaxpr) -> dict[int, str]:
    """The ids of equations that give back a float with digits cut off, and what is told of them.

    Such are `round`, and what makes a float of an integer, or of bits, that was made of a float.
    In x - round(x) the digits go on, so there is nothing to tell; nor in x times a power of two
    that was made of the exponent of x.
    """
    flow = _Flow()
    flow.read(program)
    made_of_floats = reached(flow.integers_of_floats, flow.targets)
    return {
        cut.equation: cut.told
        for cut in flow.cuts
        if (cut.is_round or cut.before in made_of_floats)
        and not (flow.has_remainder(cut) or flow.only_scales(cut))
    }


class _Cut(NamedTuple):
    """An equation after which digits are gone, its operand and its result."""

    equation: int
    before: Any
    after: Any
    is_round: bool
    is_power: bool
    told: str


class _Use(NamedTuple):
    """An equation that a value goes into; the first operand is told apart in a difference."""

    name: str
    operands: list[Any]
    minuend: Any
    results: list[Any]


class _Flow(Graph):
    """Where floats and integers come from and what they go into."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[_Cut] = []
        self.integers_of_floats: set[Any] = set()
        self.leaving: set[Any] = set()
        self.low_zeros: dict[Any, int] = {}
        self.uses: dict[Any, list[_Use]] = collections.defaultdict(list)

    def is_node(self, aval: Any) -> bool:
        return _is(aval, jnp.inexact) or _is(aval, jnp.integer)

    def boundary(self, before: list[Any], after: list[Any]) -> None:
        self.leaving.update(after)

    def plain(self, equation: JaxprEqn, before: list[Any], after: list[Any]) -> None:
        name = primitive_name(equation)
        if len(before) == len(after) == 1:
            self._cast(name, equation, before[0], after[0])
        for node in after:
            self.low_zeros[node] = self._low_zeros(name, equation, before)
        first = before[0] if before and not isinstance(equation.invars[0], Literal) else None
        for node in before:
            minuend = first if name == "sub" and node != first else None
            self.uses[node].append(_Use(name, before, minuend, after))
        for node in after:
            self.link(before, [node] * len(before))

    def _cast(self, name: str, equation: JaxprEqn, before: Any, after: Any) -> None:
        source: Any = equation.invars[0].aval
        result: Any = equation.outvars[0].aval
        if name == "round":
            told = f"round of {_name(source)}"
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

    def _low_zeros(self, name: str, equation: JaxprEqn, before: list[Any]) -> int:
        """How many low bits of an integer that an equation makes are zero, whatever goes in."""
        if name not in _OF_LOW_ZEROS:
            return 0
        literals = [atom.val for atom in equation.invars if isinstance(atom, Literal)]
        known = [self.low_zeros.get(node, 0) for node in before] + list(map(_zeros_of, literals))
        return _OF_LOW_ZEROS[name](known)

    def has_remainder(self, cut: _Cut) -> bool:
        """Whether all that comes of a cut, scaled or moved, is taken from what was cut."""
        origins = reached([cut.before], self.sources)
        return self._ends(cut, lambda use: use.minuend in origins, _SCALING)

    def only_scales(self, cut: _Cut) -> bool:
        """Whether a cut leaves a power of two that scales what was cut, or what is made of it."""
        if not cut.is_power:
            return False
        # What comes of the origins in another way than through a cut has digits of its own.
        cuts = {cut.after for cut in self.cuts}
        onward = {node: after for node, after in self.targets.items() if node not in cuts}
        others = reached(reached([cut.before], self.sources), onward) - cuts

        def scales(use: _Use) -> bool:
            return use.name in _PRODUCTS and not others.isdisjoint(use.operands)

        return self._ends(cut, scales, MOVES)

    def _ends(self, cut: _Cut, is_end: Callable[[_Use], bool], passed: Set[str]) -> bool:
        """Whether all that a cut goes into ends so, after no more than what may be passed."""
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
    """How many low bits of a number are zero, 0 for what is not an integer."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
        return 0
    bits = int(value)
    return (bits & -bits).bit_length() - 1 if bits else jnp.iinfo(jnp.result_type(value)).bits


def _is(aval: Any, kind: Any) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, kind))


def _name(aval: Any) -> str:
    return str(aval.dtype)
