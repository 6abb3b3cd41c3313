"""VectorArithmetic: the operators of an array, for a class that has a vector."""

import operator
from collections.abc import Callable


def _binary(operate: Callable) -> Callable:
    return lambda self, other: self._combined(operate, self, other)


def _reflected(operate: Callable) -> Callable:
    return lambda self, other: self._combined(operate, other, self)


def _unary(operate: Callable) -> Callable:
    return lambda self: self._over(operate(self.vector))


class VectorArithmetic:
    """Base of a class with a `vector`: operators act on the vector.

    A subclass defines `_over(vector)`, the same object with another vector, and `_combined(operate,
    left, right)`, where `left` or `right` is an instance.
    """

    __slots__ = ()
    # So that NumPy leaves the operator to this class, as it does for JAX arrays.
    __array_priority__ = 200

    __add__, __radd__ = _binary(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _binary(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _binary(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _reflected(operator.truediv)
    __pow__, __rpow__ = _binary(operator.pow), _reflected(operator.pow)
    __matmul__, __rmatmul__ = _binary(operator.matmul), _reflected(operator.matmul)
    __neg__, __pos__, __abs__ = _unary(operator.neg), _unary(operator.pos), _unary(abs)
