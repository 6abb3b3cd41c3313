"""What a recurrent cell is: ((y, carry), st) = cell(x, ps, st), or of (x, carry)."""

from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, States, apply, describe, layer_name, subject


def split_carry(layer: LayerLike, x: PyTree) -> tuple[Array, PyTree]:
    """The input of a cell as the input proper and the carry, which is None if not given.

    Raises:
        ValueError: a tuple that is no pair.
    """
    if not isinstance(x, tuple):
        return x, None
    if len(x) != 2:
        raise ValueError(
            f"{subject(layer)} expects `x` or the pair (x, carry), got a tuple of {len(x)}."
        )
    return x


def described(carry: PyTree) -> str:
    """What was given in place of a carry of another form, in a word."""
    return f"a tuple of {len(carry)}" if isinstance(carry, tuple) else describe(carry)


def apply_cell(
    cell: LayerLike, x: PyTree, ps: Parameters, st: States
) -> tuple[tuple[PyTree, PyTree], States]:
    """`(y, carry), st = cell(x, ps, st)`.

    Raises:
        TypeError: the layer returns something else.
    """
    output, st = apply(cell, x, ps, st)
    if not (isinstance(output, tuple) and len(output) == 2):
        raise TypeError(
            f"`{layer_name(cell)}` is used as a cell and expects to return ((y, carry), st), got "
            f"(y, st) with `y` of type {type(output).__name__}. Use a cell such as nn.LSTMCell."
        )
    return output, st


def initial_carry(cell: LayerLike, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
    """The carry from which `cell` starts, and its state.

    Cells may have a method of this name. It looks at the shape and the dtype of `x` alone, the
    input of one step, and the carry is None where only the first step itself can tell, which is
    what is assumed of cells without the method.
    """
    method = getattr(cell, "initial_carry", None)
    return (None, st) if method is None else method(x, ps, st)
