"""Where values come from and go to in a program and in all programs inside it."""

import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from jax.core import AbstractValue

from ..programs import (
    Atom,
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    constants_of,
    inside,
    open_jaxpr,
)

Node: TypeAlias = tuple[int, Var]
"""A variable and the number of the use of its program: a program may be used more than once."""


class Graph:
    """Variables as nodes, linked through calls, loops and branches.

    A variable has a node for each use of its program. A subclass says which variables are nodes,
    and what an equation without programs inside does.
    """

    def __init__(self) -> None:
        self._runs = itertools.count()
        self.targets: dict[Node, set[Node]] = collections.defaultdict(set)
        self.sources: dict[Node, set[Node]] = collections.defaultdict(set)

    def is_node(self, aval: AbstractValue) -> bool:
        """Whether variables of this type are nodes."""
        raise TypeError("`Graph` is for subclasses, which say what a node is.")

    def boundary(self, before: list[Node], after: list[Node]) -> None:
        """Note the nodes that come from outside the program, and those that leave it."""

    def plain(self, equation: JaxprEqn, before: list[Node], after: list[Node]) -> None:
        """Note an equation without programs inside: its operands and its results."""

    def read(
        self,
        program: ClosedJaxpr | Jaxpr,
        operands: Sequence[Node | None] = (),
        results: Sequence[Node | None] = (),
    ) -> tuple[list[Node | None], list[Node | None]]:
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

    def link(self, sources: Iterable[Node | None], targets: Iterable[Node | None]) -> None:
        """Add an edge from each source to its target, where both are nodes."""
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

    def _nodes(self, run: int, atoms: Sequence[Atom]) -> list[Node]:
        return _present([self._node(run, atom) for atom in atoms])

    def _node(self, run: int, atom: Atom) -> Node | None:
        """The node of a variable; None for other types, and for literals."""
        return None if isinstance(atom, Literal) or not self.is_node(atom.aval) else (run, atom)


def reached(nodes: Iterable[Node], edges: dict[Node, set[Node]]) -> set[Node]:
    """`nodes`, and all nodes that edges lead to from them."""
    seen, ahead = set(nodes), list(nodes)
    while ahead:
        new = edges.get(ahead.pop(), set()) - seen
        seen |= new
        ahead.extend(new)
    return seen


def _present(nodes: Iterable[Node | None]) -> list[Node]:
    return [node for node in nodes if node is not None]
