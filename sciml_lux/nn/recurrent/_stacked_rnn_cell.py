"""StackedRNNCell: a stack of cells as one cell."""

import jax
from jaxtyping import PyTree

from ...core import Layer, LayerLike, Parameters, States
from ...core.internal import subject
from ..containers._named_layers import NamedLayers, layer_arguments, named_layers
from ._cell_contract import apply_cell, described, initial_carry, split_carry


class StackedRNNCell(Layer):
    """One step of a stack of cells: the output of each is the input of the next.

    Args:
        *cells: recurrent cells (see `Recurrence`); tuples and lists of them are flattened. They are
            called `layer_1`, `layer_2`, ... in the trees.
        **named: cells under names of your choice.

    Inputs: x (..., in_dims of the first), or (x, carry) with the carry (carry_1, carry_2, ...).

    Returns: (y, carry), the output of the last cell and the carries of all.

    Parameters and States: those of each cell under its name.

    Raises:
        ValueError: there is no cell; the number of parts of the carry is not the number of cells.
        TypeError: cells are given both by position and by name, or one is not a cell.

    Source: not in Lux 1.31, where one writes a chain of recurrences that return sequences, which
        also works here. In a stack, all cells run in one loop over time.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Recurrence(nn.StackedRNNCell(nn.LSTMCell(2, 3), nn.GRUCell(3, 4)))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 7, 2), jnp.float32), ps, st)[0].shape
        (5, 4)
    """

    layers: NamedLayers

    def __init__(self, *cells: LayerLike, **named: LayerLike) -> None:
        object.__setattr__(self, "layers", named_layers("StackedRNNCell", cells, named))
        if not self.layers:
            raise ValueError("`StackedRNNCell` expects at least one cell, got none.")

    def sublayers(self) -> dict[str, LayerLike]:
        """The cells by name, in order."""
        return dict(self.layers)

    def initial_carry(self, x: PyTree, ps: Parameters, st: States) -> tuple[tuple | None, States]:
        """The carries of all cells, or None if that of one is not known before its first step."""
        carries, states = [], {}
        for name, cell in self.layers:
            own_ps = getattr(ps, name)
            carry, own_st = initial_carry(cell, x, own_ps, getattr(st, name))
            if carry is None:
                return None, st
            (x, _), _ = jax.eval_shape(
                lambda x, carry, cell=cell, own_ps=own_ps, own_st=own_st: apply_cell(
                    cell, (x, carry), own_ps, own_st
                ),
                x,
                carry,
            )
            carries.append(carry)
            states[name] = own_st
        return tuple(carries), st | states

    def __call__(
        self, x: PyTree, ps: Parameters, st: States
    ) -> tuple[tuple[PyTree, tuple], States]:
        """The output of the last cell with all carries, and the states."""
        x, carry = split_carry(self, x)
        if carry is not None and not (isinstance(carry, tuple) and len(carry) == len(self.layers)):
            raise ValueError(
                f"{subject(self)} expects the carry to be a tuple of {len(self.layers)}, one for "
                f"each cell, got {described(carry)}. Pass (x, carry) with the carry that a step "
                "returned."
            )
        carries, states = [], {}
        for index, (name, cell) in enumerate(self.layers):
            x = x if carry is None else (x, carry[index])
            (x, new), states[name] = apply_cell(cell, x, getattr(ps, name), getattr(st, name))
            carries.append(new)
        return (x, tuple(carries)), st | states

    def _arguments(self) -> list[str]:
        return layer_arguments(self.layers)
