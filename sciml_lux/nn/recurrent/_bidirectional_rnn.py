"""BidirectionalRNN: one cell forward in time, another backward."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, States, apply
from ...core.internal import subject
from ...precision import promote_floats
from ..containers._composite_layer import CompositeLayer
from ._cell_contract import described
from ._recurrence import Recurrence


def concatenate_features(forward: Array, backward: Array) -> Array:
    """Both along the last axis."""
    return jnp.concatenate([forward, backward], axis=-1)


class BidirectionalRNN(CompositeLayer):
    """y_t = merge(forward_t, backward_t), of one cell forward and one cell backward in time.

    Args:
        cell: a recurrent cell (see `Recurrence`).
        backward_cell: the cell that runs backward; by default one equal to `cell`, with its own
            parameters.
        merge: a function of the two outputs; by default they are concatenated along the last axis.
            None for a tuple of both.
        return_sequence: whether to return all steps, in the order of the input; otherwise the last
            output of each cell, which for the backward cell is the one at the first step.
        return_carry: whether to return `(y, (forward, backward))` with the carries after the last
            steps.
        time_major, unroll, checkpoint: as in `Recurrence`.

    Inputs: x (*batch, time, in_dims), or (time, *batch, in_dims) if `time_major`; or (x, carry)
        with the carry a pair (forward, backward); or (x, carry, lengths), where carry may be None.
        The backward cell starts at the last step that is not padding; the outputs at padded steps
        are zero before `merge`.

    Returns: y (*batch, time, 2 out_dims), in the layout of the input, with the carries if
        `return_carry`.

    Parameters and States: forward_rnn and backward_rnn, those of the two cells.

    Raises:
        ValueError: the carry is not a pair; and as `Recurrence`.

    Source: `BidirectionalRNN` of Lux 1.31, whose backward parameters lie one level deeper, between
        two reversals. Lux has no `return_sequence`, carries and lengths.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.BidirectionalRNN(nn.GRUCell(2, 3))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 7, 2), jnp.float32), ps, st)[0].shape
        (5, 7, 6)
    """

    cell: LayerLike
    backward_cell: LayerLike = None
    _: dataclasses.KW_ONLY
    merge: Callable[[Any, Any], Any] | None = concatenate_features
    return_sequence: bool = True
    return_carry: bool = False
    time_major: bool = False
    unroll: int = 1
    checkpoint: bool = False

    def __post_init__(self) -> None:
        """Check `merge`; building the two directions checks the rest."""
        if self.merge is not None and not callable(self.merge):
            raise TypeError(
                f"`BidirectionalRNN` expects `merge` to be a function of two arrays or None, got "
                f"{self.merge!r}."
            )
        super().__post_init__()

    def made_layers(self) -> dict[str, LayerLike]:
        """The two directions by name."""
        backward = self.cell if self.backward_cell is None else self.backward_cell
        return {
            "forward_rnn": self._direction(self.cell, reverse=False),
            "backward_rnn": self._direction(backward, reverse=True),
        }

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The merged outputs, with the carries if `return_carry`."""
        x, carry, rest = (
            (x[0], x[1], x[2:]) if isinstance(x, tuple) and len(x) > 1 else (x, None, ())
        )
        carry = (None, None) if carry is None else carry
        if not isinstance(carry, tuple) or len(carry) != 2:
            raise ValueError(
                f"{subject(self)} expects the carry to be a pair (forward, backward), got "
                f"{described(carry)}."
            )
        outputs, carries, states = [], [], {}
        for (name, layer), start in zip(self.layers, carry, strict=True):
            (y, end), states[name] = apply(
                layer, (x, start, *rest), getattr(ps, name), getattr(st, name)
            )
            outputs.append(y)
            carries.append(end)
        y = tuple(outputs) if self.merge is None else self.merge(*promote_floats(*outputs))
        return ((y, tuple(carries)) if self.return_carry else y), st | states

    def _direction(self, cell: LayerLike, *, reverse: bool) -> Recurrence:
        return Recurrence(
            cell,
            return_sequence=self.return_sequence,
            return_carry=True,
            time_major=self.time_major,
            reverse=reverse,
            unroll=self.unroll,
            checkpoint=self.checkpoint,
        )
