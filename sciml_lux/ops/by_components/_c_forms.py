"""The C of each primitive of scalars, for what C and CUDA have a function or an operator for."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

from ._emitter import Atom, Operation
from ._literals import C_TYPES
from ._refusal import Refusal

BOOL = np.dtype(np.bool_)


class Writer(Protocol):
    """What writes statements."""

    def write(self, dtype: np.dtype, template: str, *atoms: Atom) -> Atom:
        """A variable of the value of `template`, with the atoms in the places of `{}`."""
        ...


Form = Callable[..., Atom]
"""`form(writer, operation, *atoms)`: the atom of the result."""


def is_float(atom: Atom) -> bool:
    """Whether the atom is a float."""
    return jnp.issubdtype(atom.dtype, jnp.floating)


def parameters_of(operation: Operation) -> Mapping[str, Any]:
    """Those of the equation."""
    return {} if operation.call is None else operation.call.params


def no_form(operation: Operation, reason: str) -> Refusal:
    """The refusal of an operation."""
    line = "?" if operation.call is None else operation.call.line
    return Refusal(f"`{operation.name}`{'' if line == '?' else f' at {line}'}: {reason}.")


def _expression(template: str) -> Form:
    """Of the type of its last operand."""

    def form(writer: Writer, operation: Operation, *atoms: Atom) -> Atom:
        return writer.write(atoms[-1].dtype, template, *atoms)

    return form


def _commuting(template: str, wrapped: str) -> Form:
    """As above, in one order, so that equal ones are found; integers as XLA's, which wrap."""

    def form(writer: Writer, operation: Operation, *atoms: Atom) -> Atom:
        dtype = atoms[0].dtype
        return writer.write(
            dtype, wrapped if dtype == np.int32 else template, *sorted(atoms, key=repr)
        )

    return form


def _by_type(of_floats: str, of_integers: str, of_booleans: str = "") -> Form:
    def form(writer: Writer, operation: Operation, *atoms: Atom) -> Atom:
        dtype = atoms[0].dtype
        template = (
            of_booleans if dtype == BOOL else of_floats if is_float(atoms[0]) else of_integers
        )
        if not template:
            raise no_form(operation, f"it has no C form for {dtype}")
        return writer.write(dtype, template, *atoms)

    return form


def _comparison(sign: str) -> Form:
    def form(writer: Writer, operation: Operation, *atoms: Atom) -> Atom:
        return writer.write(BOOL, f"{{}} {sign} {{}}", *atoms)

    return form


def _function(name: str) -> Form:
    """A function of C's mathematics, whose name for float has an f behind."""

    def form(writer: Writer, operation: Operation, *atoms: Atom) -> Atom:
        dtype = atoms[0].dtype
        if not is_float(atoms[0]):
            raise no_form(operation, f"it has no C form for {dtype}")
        places = ", ".join(["{}"] * len(atoms))
        return writer.write(dtype, f"{name}{'f' if dtype.itemsize == 4 else ''}({places})", *atoms)

    return form


def _one(atom: Atom) -> np.generic:
    return atom.dtype.type(1)


def _integer_pow(writer: Writer, operation: Operation, x: Atom) -> Atom:
    """By products, in the order of JAX's."""
    power, found = parameters_of(operation)["y"], None
    rest = abs(power)
    while rest:
        if rest & 1:
            found = x if found is None else _FORMS["mul"](writer, operation, found, x)
        rest >>= 1
        if rest:
            x = _FORMS["mul"](writer, operation, x, x)
    if found is None:
        return _one(x)
    return found if power > 0 else _FORMS["div"](writer, operation, _one(x), found)


def _pow(writer: Writer, operation: Operation, x: Atom, y: Atom) -> Atom:
    if is_float(x) and isinstance(y, np.generic):
        y = x.dtype.type(y)
    elif is_float(x) and not is_float(y):
        y = writer.write(x.dtype, f"({C_TYPES[x.dtype]}){{}}", y)
    return _function("pow")(writer, operation, x, y)


def _logistic(writer: Writer, operation: Operation, x: Atom) -> Atom:
    power = _function("exp")(writer, operation, writer.write(x.dtype, "-{}", x))
    return writer.write(x.dtype, "{} / ({} + {})", _one(x), _one(x), power)


def _rem(writer: Writer, operation: Operation, x: Atom, y: Atom) -> Atom:
    if is_float(x):
        return _function("fmod")(writer, operation, x, y)
    return writer.write(x.dtype, "remainder_of({}, {})", x, y)


def _rsqrt(writer: Writer, operation: Operation, x: Atom) -> Atom:
    return writer.write(x.dtype, "{} / {}", _one(x), _function("sqrt")(writer, operation, x))


def _round(writer: Writer, operation: Operation, x: Atom) -> Atom:
    method = int(parameters_of(operation)["rounding_method"])
    return _function(("round", "rint")[method])(writer, operation, x)


def _select(writer: Writer, operation: Operation, which: Atom, *cases: Atom) -> Atom:
    found = cases[-1]
    if which.dtype == BOOL:
        return writer.write(found.dtype, "{} ? {} : {}", which, found, cases[0])
    for i in reversed(range(len(cases) - 1)):
        found = writer.write(found.dtype, f"{{}} <= {i} ? {{}} : {{}}", which, cases[i], found)
    return found


def _clamp(writer: Writer, operation: Operation, low: Atom, x: Atom, high: Atom) -> Atom:
    return _FORMS["min"](writer, operation, _FORMS["max"](writer, operation, x, low), high)


def _is_finite(writer: Writer, operation: Operation, x: Atom) -> Atom:
    return writer.write(BOOL, "is_finite({})", x)


def _convert(writer: Writer, operation: Operation, x: Atom) -> Atom:
    dtype = np.dtype(parameters_of(operation)["new_dtype"])
    if dtype not in C_TYPES:
        raise no_form(operation, f"{dtype} has no C form")
    if dtype == BOOL:
        return writer.write(dtype, "{} != 0", x)
    if dtype == np.int32 and is_float(x):
        return writer.write(dtype, "truncated({})", x)
    return writer.write(dtype, f"({C_TYPES[dtype]}){{}}", x)


_SAME_NAME = """
    acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh erf erfc exp exp2 expm1 floor lgamma
    log log1p nextafter sin sinh sqrt tan tanh
"""
_FUNCTIONS = {**{name: name for name in _SAME_NAME.split()}, "erf_inv": "erfinv"}
_ADD = _commuting("{} + {}", "(int)((unsigned){} + (unsigned){})")
_FORMS: Mapping[str, Form] = {
    **{name: _function(c) for name, c in _FUNCTIONS.items()},
    **{
        name: _comparison(sign)
        for name, sign in zip(
            ["eq", "ne", "lt", "le", "gt", "ge"], ["==", "!=", "<", "<=", ">", ">="], strict=True
        )
    },
    "abs": _by_type("magnitude({})", "magnitude({})"),
    "add": _ADD,
    "add_any": _ADD,
    "and": _expression("{} & {}"),
    "clamp": _clamp,
    "convert_element_type": _convert,
    "div": _by_type("{} / {}", "quotient({}, {})"),
    "integer_pow": _integer_pow,
    "is_finite": _is_finite,
    "logistic": _logistic,
    "max": _by_type("maximum({}, {})", "maximum({}, {})", "{} | {}"),
    "min": _by_type("minimum({}, {})", "minimum({}, {})", "{} & {}"),
    "mul": _commuting("{} * {}", "(int)((unsigned){} * (unsigned){})"),
    "neg": _by_type("-{}", "(int)(0u - (unsigned){})"),
    "not": _by_type("", "~{}", "!{}"),
    "or": _expression("{} | {}"),
    "pow": _pow,
    "rem": _rem,
    "round": _round,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "sign": _by_type("sign({})", "sign({})"),
    "one_minus_square": _expression("(1 - {0}) * (1 + {0})"),
    "square": lambda writer, operation, x: _FORMS["mul"](writer, operation, x, x),
    "sub": _by_type("{} - {}", "(int)((unsigned){} - (unsigned){})"),
    "xor": _expression("{} ^ {}"),
}


def c_form(operation: Operation) -> Form:
    """The form of an operation, or its refusal by name."""
    if operation.name not in _FORMS:
        raise no_form(operation, "C has no function for it")
    return _FORMS[operation.name]
