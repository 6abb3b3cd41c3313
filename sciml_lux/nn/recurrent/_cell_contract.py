"""The contract of a recurrent cell: ((y, carry), st) = cell(x or (x, carry), ps, st)."""

from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, States, apply, layer_name
from ...core.internal import describe, subject


def split_carry(layer: LayerLike, x: PyTree) -> tuple[Array, PyTree]:
    """The array and the carry in the input of a cell; the carry is None if not given.

    Raises:
        ValueError: a tuple that is not a pair.
    """
    if not isinstance(x, tuple):
        return x, None
    if len(x) != 2:
        raise ValueError(
            f"{subject(layer)} expects `x` or the pair (x, carry), got a tuple of {len(x)}."
        )
    return x


def described(carry: PyTree) -> str:
    """The form of a carry that was given, for messages."""
    return f"a tuple of {len(carry)}" if isinstance(carry, tuple) else describe(carry)


def apply_cell(
    cell: LayerLike, x: PyTree, ps: Parameters, st: States
) -> tuple[tuple[PyTree, PyTree], States]:
    """`(y, carry), st = cell(x, ps, st)`.

    Raises:
        TypeError: the cell returns something else.
    """
    output, st = apply(cell, x, ps, st)
    if not (isinstance(output, tuple) and len(output) == 2):
        raise TypeError(
            f"`{layer_name(cell)}` is used as a cell, which must return ((y, carry), st), got "
            f"(y, st) with `y` of type {type(output).__name__}. Use a cell such as nn.LSTMCell."
        )
    return output, st


def initial_carry(cell: LayerLike, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
    """The carry from which `cell` starts, and its state.

    Cells may define a method of this name, which uses only shape and dtype of `x`, the input of one
    step. The carry is None if only the first step itself determines it, as is assumed of cells
    without the method.
    """
    method = getattr(cell, "initial_carry", None)
    return (None, st) if method is None else method(x, ps, st)
