"""VectorArithmetic: the operators of an array for a class around a vector."""

import operator
from collections.abc import Callable
from typing import Any


def _binary(operate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._combined(operate, self, other)


def _reflected(operate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._combined(operate, other, self)


def _unary(operate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda self: self._over(operate(self.vector))


class VectorArithmetic:
    """Base of a class with a `vector`, whose operators act on it.

    A subclass defines `_combined(operate, left, right)`, of which one is its own instance, and
    `_over(vector)`.
    """

    __slots__ = ()
    # So that NumPy leaves the operator to this class, as it does for JAX's arrays.
    __array_priority__ = 200

    __add__, __radd__ = _binary(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _binary(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _binary(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _reflected(operator.truediv)
    __pow__, __rpow__ = _binary(operator.pow), _reflected(operator.pow)
    __matmul__, __rmatmul__ = _binary(operator.matmul), _reflected(operator.matmul)
    __neg__, __pos__, __abs__ = _unary(operator.neg), _unary(operator.pos), _unary(abs)
