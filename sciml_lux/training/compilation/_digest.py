"""A traced program as lines of text that are the same in every process.

Variables are numbered in order of appearance, parameters of equations are sorted by name, and
large constants are written as a hash of their bytes. Addresses, functions and their names, source
lines, and the devices of arrays are left out.
"""

import dataclasses
import enum
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

# How a program is compiled and placed, and what it is called.
_LEFT_OUT = frozenset(
    {"compiler_options_kvs", "ctx_mesh", "debug", "debug_info", "donated_invars", "in_layouts"}
    | {"in_shardings", "inline", "keep_unused", "name", "out_layouts", "out_shardings"}
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SHORT = 8  # Constants of at most so many numbers are written out.


def program_lines(program: ClosedJaxpr) -> list[str]:
    """The equations of a program, those of the programs inside indented below them.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f = jax.make_jaxpr(lambda x: 2.0 * jnp.sin(x))
        >>> print(*program_lines(f(jnp.ones(3, jnp.float32))), sep="\\n")
        input v0 float32[3]
        v1 float32[3] = sin v0
        v2 float32[3] = mul 2.0 v1
        return v2
    """
    return list(_Lines().of(program))


def words(value: object) -> str:
    """`value` as text that does not depend on the process: no addresses, sets in order."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array_words(value)
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, tuple | list):
        return f"({', '.join(map(words, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(words, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{words(k)}: {words(v)}' for k, v in value.items()))}}}"
    if isinstance(value, ClosedJaxpr | Jaxpr):
        return "program"
    if dataclasses.is_dataclass(value):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        inner = ", ".join(f"{name}={words(entry)}" for name, entry in fields)
        return f"{type(value).__name__}({inner})"
    if callable(value):
        return "function"
    if isinstance(value, jax.tree_util.PyTreeDef) or type(value).__repr__ is object.__repr__:
        return type(value).__name__
    return _ADDRESS.sub("", repr(value))


class _Lines:
    """Writes programs; one that occurs twice is written once and looked up."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, list[str]]] = {}

    def of(self, program: ClosedJaxpr | Jaxpr) -> list[str]:
        if id(program) not in self._known:
            self._known[id(program)] = program, list(self._written(program))
        return self._known[id(program)][1]

    def _written(self, program: ClosedJaxpr | Jaxpr) -> Iterator[str]:
        is_closed = isinstance(program, ClosedJaxpr)
        jaxpr, constants = (program.jaxpr, program.consts) if is_closed else (program, ())
        names: dict[Any, str] = {}

        def named(variable: Var | Literal) -> str:
            if isinstance(variable, Literal):
                return words(np.asarray(variable.val))
            return names.setdefault(variable, f"v{len(names)}")

        def declared(variable: Var | Literal) -> str:
            return f"{named(variable)} {_type_words(variable.aval)}"

        for variable in jaxpr.invars:
            yield f"input {declared(variable)}"
        for index, variable in enumerate(jaxpr.constvars):
            value = f" {words(constants[index])}" if is_closed else ""
            yield f"constant {declared(variable)}{value}"
        for equation in jaxpr.eqns:
            inputs = " ".join(map(named, equation.invars))
            outputs = ", ".join(map(declared, equation.outvars))
            yield f"{outputs} = {equation.primitive.name} {inputs}{_options(equation)}"
            for inner in _programs(list(_listed(equation).values())):
                yield from (f"  {line}" for line in self.of(inner))
        yield f"return {' '.join(map(named, jaxpr.outvars))}"


def _listed(equation: JaxprEqn) -> dict[str, Any]:
    return {n: v for n, v in sorted(equation.params.items()) if n not in _LEFT_OUT}


def _options(equation: JaxprEqn) -> str:
    options = {name: words(value) for name, value in _listed(equation).items()}
    return "".join(
        f" {name}={text}" for name, text in options.items() if text not in ("function", "None")
    )


def _programs(value: object) -> Iterator[ClosedJaxpr | Jaxpr]:
    if isinstance(value, ClosedJaxpr | Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _programs(entry)
    elif isinstance(value, dict):
        for name in sorted(value, key=words):
            yield from _programs(value[name])


def _type_words(aval: Any) -> str:
    if not hasattr(aval, "dtype") or not hasattr(aval, "shape"):
        return _ADDRESS.sub("", str(aval))
    return f"{aval.dtype}[{','.join(map(str, aval.shape))}]"


def _array_words(array: np.ndarray | np.generic | jax.Array) -> str:
    if isinstance(array, jax.Array):
        if not array.is_fully_addressable and not array.is_fully_replicated:
            return "divided between processes"
        if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
    array = np.asarray(array)
    if array.size <= _SHORT:
        return repr(array.tolist())
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]
