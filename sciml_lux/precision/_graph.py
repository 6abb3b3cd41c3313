"""Where values come from and go to in a program and in all programs inside it."""

import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from ..programs import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, constants_of, inside, open_jaxpr


class Graph:
    """Variables as nodes, linked through calls, loops and branches.

    A variable is a node once for each time that its program stands in another. A subclass says
    which variables are nodes, and what an equation without programs of its own does.
    """

    def __init__(self) -> None:
        self._runs = itertools.count()
        self.targets: dict[Any, set[Any]] = collections.defaultdict(set)
        self.sources: dict[Any, set[Any]] = collections.defaultdict(set)

    def is_node(self, aval: Any) -> bool:
        """Whether variables of this type are nodes."""
        raise TypeError("`Graph` is for subclasses, which say what a node is.")

    def boundary(self, before: list[Any], after: list[Any]) -> None:
        """Take note of the nodes that come from outside the program, and that leave it."""

    def plain(self, equation: JaxprEqn, before: list[Any], after: list[Any]) -> None:
        """Take note of an equation without programs inside: its operands and its results."""

    def read(
        self,
        program: ClosedJaxpr | Jaxpr,
        operands: Sequence[Any] = (),
        results: Sequence[Any] = (),
    ) -> tuple[list[Any], list[Any]]:
        """Add a program bound to these nodes; returns the nodes of its arguments and results."""
        jaxpr, run = open_jaxpr(program), next(self._runs)
        arguments = [self._node(run, v) for v in jaxpr.invars]
        found = [self._node(run, v) for v in jaxpr.outvars]
        self.link(operands, arguments)
        self.link(found, results)
        if constants_of(program):
            self.boundary(self._nodes(run, jaxpr.constvars), [])
        if run == 0:
            self.boundary(_present(arguments), _present(found))
        for equation in jaxpr.eqns:
            self._equation(run, equation)
        return arguments, found

    def link(self, sources: Iterable[Any], targets: Iterable[Any]) -> None:
        """Lead from each source to its target, where both are nodes."""
        for source, target in zip(sources, targets, strict=False):
            if source is not None and target is not None:
                self.targets[source].add(target)
                self.sources[target].add(source)

    def _equation(self, run: int, equation: JaxprEqn) -> None:
        parts = list(inside(equation))
        for part in parts:
            outside = [self._node(run, atom) for atom in part.operands]
            after = [self._node(run, atom) for atom in part.results]
            arguments, results = self.read(part.program, outside, after)
            for place, argument in part.carried:
                self.link([results[place]], [arguments[argument]])
        if not parts:
            before = self._nodes(run, equation.invars)
            self.plain(equation, before, self._nodes(run, equation.outvars))

    def _nodes(self, run: int, atoms: Sequence[Any]) -> list[Any]:
        return _present([self._node(run, atom) for atom in atoms])

    def _node(self, run: int, atom: Any) -> Any:
        """The node of a variable; None for other types, and for literals."""
        return None if isinstance(atom, Literal) or not self.is_node(atom.aval) else (run, atom)


def reached(nodes: Iterable[Any], edges: dict[Any, set[Any]]) -> set[Any]:
    """`nodes`, and all that edges lead to from them."""
    seen, ahead = set(nodes), list(nodes)
    while ahead:
        new = edges.get(ahead.pop(), set()) - seen
        seen |= new
        ahead.extend(new)
    return seen


def _present(nodes: list[Any]) -> list[Any]:
    return [node for node in nodes if node is not None]
