"""Rules of arithmetic: each result a scalar operation, or a sum, of entries."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...programs import ELEMENTWISE, Call, bind
from ._components import Components, array_of, is_constant
from ._derivative import with_derivative_of_primitive
from ._emitter import Atom, Emitter, Operation
from ._refusal import refusal, refuse_half_precision

Rule = Callable[..., Any]

_ADD, _MULTIPLY = Operation("add", lax.add), Operation("mul", lax.mul)
_OR, _AND = Operation("or", lax.bitwise_or), Operation("and", lax.bitwise_and)
_REDUCTIONS = {
    "reduce_sum": _ADD,
    "reduce_prod": _MULTIPLY,
    "reduce_and": _AND,
    "reduce_or": _OR,
    "reduce_max": Operation("max", lax.max),
    "reduce_min": Operation("min", lax.min),
}
_SHARE_TIES = ("reduce_max", "reduce_min")
"""Their derivative is shared by all entries that are equal: not that of one pair after another."""


def _elementwise(emitter: Emitter) -> Rule:
    def rule(call: Call, *operands: Components) -> Components:
        operation = Operation(call.name, functools.partial(bind, call), call)
        arrays = np.broadcast_arrays(*operands)
        if any(x.size < arrays[0].size and not is_constant(x) for x in operands):
            refuse_half_precision(call)  # Its cotangent is a sum.
        entries = zip(*(array.flat for array in arrays), strict=True)
        return array_of((emitter(operation, *atoms) for atoms in entries), arrays[0].shape)

    return rule


def _convert(emitter: Emitter) -> Rule:
    elementwise = _elementwise(emitter)

    def rule(call: Call, x: Components) -> Components:
        kind: Any = call.equation.invars[0].aval
        old, new = kind.dtype, call.params["new_dtype"]
        if old == new:
            return x
        if jnp.issubdtype(old, jnp.inexact) and jnp.issubdtype(new, jnp.inexact):
            raise refusal(call, f"a value would change from {old} to {new}")
        return elementwise(call, x)

    return rule


def _over(operation: Operation, emitter: Emitter, atoms: Sequence[Atom]) -> Atom:
    return functools.reduce(functools.partial(emitter, operation), atoms)


def _reduction(operation: Operation, emitter: Emitter) -> Rule:
    def values(call: Call, x: Components) -> Components:
        refuse_half_precision(call)
        axes = call.params["axes"]
        kept = [i for i in range(x.ndim) if i not in axes]
        shape = [x.shape[i] for i in kept]
        lines = x.transpose(*kept, *axes).reshape(math.prod(shape), -1)
        return array_of((_over(operation, emitter, list(line)) for line in lines), shape)

    def rule(call: Call, x: Components) -> Components:
        result: Any = call.equation.outvars[0].aval
        if call.name not in _SHARE_TIES or not jnp.issubdtype(result.dtype, jnp.inexact):
            return values(call, x)
        return with_derivative_of_primitive(call, lambda x: [values(call, x)], [x])[0]

    return rule


def _cumulative(operation: Operation, emitter: Emitter) -> Rule:
    def rule(call: Call, x: Components) -> Components:
        refuse_half_precision(call)
        axis, back = call.params["axis"], call.params["reverse"]
        rows = np.moveaxis(np.flip(x, axis) if back else x, axis, 0)
        found = [rows[:1]]
        for i in range(1, len(rows)):
            pairs = zip(found[-1].flat, rows[i].flat if rows.ndim > 1 else [rows[i]], strict=True)
            sums = (emitter(operation, *pair) for pair in pairs)
            found.append(array_of(sums, rows[:1].shape))
        whole = np.moveaxis(np.concatenate(found), 0, axis)
        return np.flip(whole, axis) if back else whole

    return rule


def _dot_general(emitter: Emitter) -> Rule:
    def rule(call: Call, x: Components, y: Components) -> Components:
        refuse_half_precision(call)
        result: Any = call.equation.outvars[0].aval
        for atom in call.equation.invars:
            kind: Any = atom.aval
            if kind.dtype != result.dtype:
                raise refusal(call, f"a value would change from {kind.dtype} to {result.dtype}")
        (x_axes, y_axes), (x_batch, y_batch) = call.params["dimension_numbers"]
        lines, columns = _matrices(x, x_batch, x_axes), _matrices(y, y_batch, y_axes)
        pairs = ((a, b) for m, n in zip(lines, columns, strict=True) for a in m for b in n)
        add, multiply = (_OR, _AND) if result.dtype == np.bool_ else (_ADD, _MULTIPLY)

        def product(x: Sequence[Atom], y: Sequence[Atom]) -> Atom:
            products = [emitter(multiply, a, b) for a, b in zip(x, y, strict=True)]
            return _over(add, emitter, products)

        return array_of((product(a, b) for a, b in pairs), result.shape)

    return rule


def _matrices(x: Components, batch: Sequence[int], summed: Sequence[int]) -> Components:
    """The batch first, the axes that are summed over last, the others between; three axes."""
    rest = [i for i in range(x.ndim) if i not in (*batch, *summed)]
    sizes = [math.prod(x.shape[i] for i in axes) for axes in (batch, rest, summed)]
    return x.transpose(*batch, *rest, *summed).reshape(sizes)


def arithmetic_rules(emitter: Emitter) -> Mapping[str, Rule]:
    """The rule of each primitive of this file."""
    return {
        **dict.fromkeys(ELEMENTWISE, _elementwise(emitter)),
        **{name: _reduction(operation, emitter) for name, operation in _REDUCTIONS.items()},
        "convert_element_type": _convert(emitter),
        "cumsum": _cumulative(_ADD, emitter),
        "cumprod": _cumulative(_MULTIPLY, emitter),
        "dot_general": _dot_general(emitter),
    }
