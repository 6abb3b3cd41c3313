"""StatefulRecurrentCell: a cell whose carry is part of the state."""

import dataclasses
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core import Key, Layer, LayerLike, Parameters, Record, States, update_state
from ...core.internal import check_layer, describe, is_integer, subject
from ...precision import promote_floats
from ._cell_contract import apply_cell

Tree = TypeVar("Tree")


class StatefulRecurrentCell(Layer):
    """y_t = cell(x_t, carry_{t-1}), one step for each call, with the carry in the state.

    Args:
        cell: a recurrent cell (see `Recurrence`).
        batch_shape: the batch axes of the input. They fix the shape of the carry from the start, so
            that a scan can carry the state.
        in_dims: size of the last axis of the input; by default `cell.in_dims`.

    Inputs: x (*batch_shape, in_dims).

    Returns: y, the output of the cell.

    Parameters: exactly those of `cell`.

    States: cell, the states of `cell`; carry, which keeps the dtype of the states; has_carry,
        whether the carry is valid: False until the first call and after `reset_carry(st)`, so that
        the next call starts from the initial carry.

    Raises:
        ValueError: x of another shape.
        TypeError: `cell` is not a cell, or its `in_dims` is not known.

    Source: `StatefulRecurrentCell` of Lux 1.31, whose carry is `nothing` before the first call and
        takes the shape of the first input.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.StatefulRecurrentCell(nn.GRUCell(2, 3), batch_shape=(5,))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> x = jnp.ones((5, 2), jnp.float32)
        >>> first, st = model(x, ps, st)
        >>> second, st = model(x, ps, st)
        >>> again, st = model(x, ps, nn.reset_carry(st))
        >>> (first == second).any().item(), (first == again).all().item()
        (False, True)
    """

    cell: LayerLike
    _: dataclasses.KW_ONLY
    batch_shape: tuple[int, ...] = ()
    in_dims: int | None = None

    leaves_floats_inside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the cell, and take the size of the input from it."""
        check_layer("StatefulRecurrentCell", "cell", self.cell, "nn.LSTMCell(2, 3)")
        if not is_integer(self._in_dims()):
            raise TypeError(
                "`StatefulRecurrentCell` expects `in_dims` to be an integer, because "
                f"`{type(self.cell).__name__}` has none of its own, got {self.in_dims!r}."
            )

    def _in_dims(self) -> Any:
        return getattr(self.cell, "in_dims", None) if self.in_dims is None else self.in_dims

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The parameters of the cell."""
        return self.cell.initial_parameters(key, dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The states of the cell, and a carry that is not valid yet."""

        def first_step(key: Key) -> Any:
            x = jnp.zeros((*self.batch_shape, self._in_dims()), dtype)
            ps = self.cell.initial_parameters(key, dtype)
            return apply_cell(self.cell, x, ps, self.cell.initial_states(key, dtype))

        (_, carry), _ = jax.eval_shape(first_step, key)
        return Record(
            cell=self.cell.initial_states(key, dtype),
            carry=jax.tree.map(jnp.zeros_like, carry),
            has_carry=jnp.zeros((), jnp.bool_),
        )

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output of the step, and the state with the new carry."""
        wanted = (*self.batch_shape, self._in_dims())
        if getattr(x, "shape", None) != wanted:
            raise ValueError(
                f"{subject(self)} expects `x` to be of shape {wanted} (`batch_shape` and "
                f"`in_dims`), got {describe(x)}."
            )
        # The two branches then return the same dtypes.
        x, carry = promote_floats(x, st.carry)
        (y, new), inner = jax.lax.cond(
            st.has_carry,
            lambda x: apply_cell(self.cell, (x, carry), ps, st.cell),
            lambda x: apply_cell(self.cell, x, ps, st.cell),
            x,
        )
        kept = jax.tree.map(lambda new, old: new.astype(old.dtype), new, st.carry)
        return y, st | {"cell": inner, "carry": kept, "has_carry": jnp.ones((), jnp.bool_)}


def reset_carry(st: Tree) -> Tree:
    """`st` in which every `StatefulRecurrentCell` starts again from its initial carry.

    Args:
        st: a state tree, or an object that contains one (`StatefulLuxLayer`, `TrainState`).

    Raises:
        KeyError: there is no such cell in it.

    Source: `update_state(st, :carry, nothing)` of Lux 1.31.

    Example:
        >>> from sciml_lux import Record
        >>> reset_carry(Record(has_carry=jnp.ones((), bool))).has_carry.item()
        False
    """
    return update_state(st, "has_carry", jnp.zeros((), jnp.bool_))
