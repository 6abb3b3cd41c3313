"""c_function: a traced function as the text of a C function, one statement for each operation."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...programs import ClosedJaxpr
from ._by_components import by_components
from ._c_forms import c_form
from ._emitter import Atom, Operation
from ._literals import C_TYPES, literal
from ._refusal import Refusal


class Variable(NamedTuple):
    """An atom of text.

    Attributes:
        name: what stands for it in C.
        dtype: its type.
    """

    name: str
    dtype: np.dtype


class _Statement(NamedTuple):
    expression: str
    reads: tuple[Variable, ...]


class Text:
    """An emitter of C: one statement for each scalar operation, the same ones once."""

    def __init__(self) -> None:
        self._statements: dict[Variable, _Statement] = {}
        self._known: dict[tuple[str, np.dtype], Variable] = {}

    def __call__(self, operation: Operation, *atoms: Atom) -> Atom:
        if all(isinstance(atom, np.generic) for atom in atoms):
            return _folded(operation, *atoms)
        kept = _unchanged(operation.name, *atoms)
        return c_form(operation)(self, operation, *atoms) if kept is None else kept

    def write(self, dtype: np.dtype, template: str, *atoms: Atom) -> Variable:
        """The variable of an expression, with the atoms in the places of `{}`."""
        if dtype not in C_TYPES:
            raise Refusal(f"{dtype} has no C form: components are float32, float64, int32, bool.")
        expression = template.format(*map(written, atoms))
        key = (expression, dtype)
        if key not in self._known:
            found = Variable(f"v{len(self._known)}", dtype)
            reads = tuple(atom for atom in atoms if isinstance(atom, Variable))
            self._statements[found] = _Statement(expression, reads)
            self._known[key] = found
        return self._known[key]

    def lines(self, results: Sequence[Atom]) -> list[str]:
        """The statements that the results need, in order."""
        needed = {atom for atom in results if isinstance(atom, Variable)}
        lines = []
        for variable, statement in reversed(self._statements.items()):
            if variable in needed:
                needed.update(statement.reads)
                kind = C_TYPES[variable.dtype]
                lines.append(f"const {kind} {variable.name} = {statement.expression};")
        return lines[::-1]


def written(atom: Atom) -> str:
    """The atom in C."""
    return atom.name if isinstance(atom, Variable) else literal(atom)


def _folded(operation: Operation, *atoms: Atom) -> Atom:
    with jax.ensure_compile_time_eval():
        return np.asarray(operation.function(*map(jnp.asarray, atoms)))[()]


def _unchanged(name: str, *atoms: Atom) -> Atom | None:
    """The operand that an operation leaves as it is to the last bit, if it does.

    x + 0 does not: of x = -0 it is +0. Infinity and NaN times 1 are themselves, and times 0 not 0.
    """
    first, last = atoms[0], atoms[-1]
    if name in ("copy", "copy_p", "stop_gradient"):
        return first
    if name in ("add", "add_any"):
        if _is(first, -0.0):
            return last
        return first if _is(last, -0.0) else None
    if name == "mul" and _is(first, 1.0):
        return last
    if (name == "sub" and _is(last, 0.0)) or (name in ("mul", "div") and _is(last, 1.0)):
        return first
    if name == "select_n":
        if isinstance(first, np.generic):
            return atoms[1 + int(first)]
        return last if all(_same(case, last) for case in atoms[1:]) else None
    return None


def _is(atom: Atom, number: float) -> bool:
    """Whether the atom is this number, with its sign; an integer 0 has both."""
    if not isinstance(atom, np.generic) or atom != number:
        return False
    is_float = jnp.issubdtype(atom.dtype, jnp.floating)
    return not is_float or math.copysign(1, float(atom)) == math.copysign(1, number)


def _same(one: Atom, other: Atom) -> bool:
    return written(one) == written(other) and one.dtype == other.dtype


class Array(NamedTuple):
    """A C array that a function reads, or writes.

    Attributes:
        name: of the array.
        dtype: of its entries.
        size: the number of them; None for a scalar that is read.
    """

    name: str
    dtype: np.dtype
    size: int | None

    @property
    def c_type(self) -> str:
        """Its type as an argument."""
        return C_TYPES[self.dtype] + ("" if self.size is None else "*")

    def atoms(self) -> list[Variable]:
        """Its entries."""
        if self.size is None:
            return [Variable(self.name, self.dtype)]
        return [Variable(f"{self.name}[{i}]", self.dtype) for i in range(self.size)]


def c_function(
    program: ClosedJaxpr, name: str, operands: Sequence[Array], results: Sequence[Array]
) -> str:
    """The text of `program` as a C++ function, for a device or a host.

    It expects a macro `INLINE`, and functions such as `maximum` that C has not.

    Args:
        program: of one trajectory.
        name: of the function.
        operands: arrays with the components of all arguments of the program, one after the other.
        results: arrays for those of its results.

    Raises:
        Refusal: why the program has no such form.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> program = jax.make_jaxpr(lambda y: 2 * y + 1)(jnp.ones(1, jnp.float32))
        >>> real = np.dtype(np.float32)
        >>> print(c_function(program, "line", [Array("y", real, 1)], [Array("dy", real, 1)]))
        INLINE void line(const float* y, float* dy)
        {
            const float v0 = y[0] * (0x1.0p+1f);
            const float v1 = v0 + (0x1.0p+0f);
            dy[0] = v1;
        }
    """
    text = Text()
    found = by_components(program, text)(*(atom for array in operands for atom in array.atoms()))
    places = [place for array in results for place in array.atoms()]
    for place, atom in zip(places, found, strict=True):
        if place.dtype != atom.dtype:
            raise Refusal(f"its result is {atom.dtype}, and not {place.dtype}.")
    stores = [f"{p.name} = {written(a)};" for p, a in zip(places, found, strict=True)]
    given = [f"const {array.c_type} {array.name}" for array in operands]
    taken = [f"{array.c_type} {array.name}" for array in results]
    head = f"INLINE void {name}({', '.join(given + taken)})"
    body = [f"    {line}" for line in [*text.lines(found), *stores]]
    return "\n".join([head, "{", *body, "}"])
