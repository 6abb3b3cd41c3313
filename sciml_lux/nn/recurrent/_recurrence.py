"""Recurrence: a cell along the time axis."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, States, StateStructureError, WrapperLayer, layer_name
from ...core.internal import check_integer, check_layer, first_difference, subject
from ...precision import match_eltype_mode, promote, result_dtype, shared
from ...precision.internal import count_in_int32
from ._cell_contract import apply_cell, initial_carry


class Recurrence(WrapperLayer):
    """y_t, carry_t = cell(x_t, carry_{t-1}) for each time step t; y is the last output.

    Args:
        cell: a layer with `((y, carry), st) = cell(x, ps, st)`, also of `(x, carry)` in place of
            x, such as `LSTMCell`, `StackedRNNCell` or a cell of your own.
        return_sequence: whether to return the outputs of all steps in place of the last.
        return_carry: whether to return `(y, carry)` with the carry after the last step.
        time_major: whether time is the first axis of the input and of the returned sequence, in
            place of the second last.
        reverse: whether to go from the last step to the first; the returned sequence has the order
            of the input.
        unroll: the number of steps in one iteration of the compiled loop.
        checkpoint: whether the gradient recomputes the inside of each step in place of storing it.

    Inputs: x (*batch, time, in_dims), or (time, *batch, in_dims) if `time_major`, where there may
        be no batch axes; or (x, carry) with the initial carry; or (x, carry, lengths), where carry
        may be None and lengths (*batch,) are integers. The steps at and after `lengths` are
        padding: whatever they contain, they leave the carry unchanged and their outputs are zero.
        The last output is that of the last step that is not padding (zero for a length of 0). A
        length above the number of steps counts as all of them.

    Returns: y (*batch, out_dims), or the sequence (*batch, time, out_dims), in the layout of the
        input; with the carry if `return_carry`.

    Parameters and States: exactly those of `cell`. Its state passes from step to step, also through
        padding.

    Raises:
        TypeError: x is not an array; lengths are not integers, or are given for a cell whose
            initial carry is not known before its first step.
        ValueError: x has no time axis or no step; the shape of lengths is not that of the batch;
            the cell changes the structure or the shapes of its carry.
        StateStructureError: the cell changes the structure of its state.

    A cell may define its initial carry in a method `initial_carry(x, ps, st) -> (carry, st)`, which
    may use shape and dtype of x, the input of one step. A cell without the method gets its first x
    without a carry.

    Source: `Recurrence` of Lux 1.31. `BatchLastIndex` and `TimeLastIndex` have no counterpart:
        features are last, and `time_major` is the only choice of layout. Lux returns a list of
        outputs without the carry, and accepts lists of steps; here, stack them: jnp.stack(steps).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Recurrence(nn.LSTMCell(2, 3), return_sequence=True)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> x = jnp.ones((5, 7, 2), jnp.float32)
        >>> y, st = model((x, None, jnp.asarray([7, 3, 1, 0, 5])), ps, st)
        >>> y.shape, y[1, 3:].any().item()
        ((5, 7, 3), False)
    """

    cell: LayerLike
    _: dataclasses.KW_ONLY
    return_sequence: bool = False
    return_carry: bool = False
    time_major: bool = False
    reverse: bool = False
    unroll: int = 1
    checkpoint: bool = False

    # The lengths in the input keep their integer dtype; the cell converts the rest.
    takes_indices: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the cell and the number of steps to unroll."""
        check_layer("Recurrence", "cell", self.cell, "nn.LSTMCell(2, 3)")
        check_integer("Recurrence", "unroll", self.unroll, least=1)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The last output or all outputs, with the carry if `return_carry`."""
        x, carry, lengths = self._inputs(x)
        xs = x if self.time_major else jnp.moveaxis(x, -2, 0)
        (y, carry), ys, st = self._run(xs, carry, lengths, ps, st)
        if self.return_sequence:
            y = ys if self.time_major else jax.tree.map(lambda a: jnp.moveaxis(a, 0, -2), ys)
        return ((y, carry) if self.return_carry else y), st

    def _inputs(self, x: PyTree) -> tuple[Array, PyTree, Array | None]:
        if isinstance(x, tuple) and len(x) not in (2, 3):
            raise ValueError(
                f"{subject(self)} expects `x`, (x, carry) or (x, carry, lengths), got a tuple of "
                f"{len(x)}. Stack time steps: jnp.stack(steps, axis=-2)."
            )
        x, carry, lengths = (*x, None)[:3] if isinstance(x, tuple) else (x, None, None)
        if not hasattr(x, "shape"):
            raise TypeError(
                f"{subject(self)} expects `x` to be an array, got {type(x).__name__}. Stack time "
                "steps: jnp.stack(steps, axis=-2)."
            )
        layout = "(time, ..., features)" if self.time_major else "(..., time, features)"
        time_axis = 0 if self.time_major else -2
        if x.ndim < 2 or not x.shape[time_axis]:
            raise ValueError(
                f"{subject(self)} expects `x` to be {layout} with at least one time step, got "
                f"shape {x.shape}."
            )
        if lengths is None:
            return x, carry, None
        if not (hasattr(lengths, "dtype") and jnp.issubdtype(lengths.dtype, jnp.integer)):
            raise TypeError(
                f"{subject(self)} expects `lengths` to be an array of integers, got "
                f"{getattr(lengths, 'dtype', type(lengths).__name__)}."
            )
        batch = x.shape[1:-1] if self.time_major else x.shape[:-2]
        if lengths.shape != batch:
            raise ValueError(
                f"{subject(self)} expects `lengths` to be of shape {batch}, one for each sequence "
                f"in `x` of shape {x.shape}, got shape {lengths.shape}."
            )
        return x, carry, count_in_int32(lengths, x.shape[time_axis])

    def _run(
        self, xs: Array, carry: PyTree, lengths: Array | None, ps: Parameters, st: States
    ) -> tuple[PyTree, PyTree, PyTree]:
        """Last output with carry, all outputs if `return_sequence`, and state; time first."""
        if carry is None:
            carry, st = initial_carry(self.cell, _one_step(xs), ps, st)
        if carry is not None:
            return self._scan(xs, None, carry, lengths, ps, st)
        if lengths is not None:
            raise TypeError(
                f"{subject(self)} with `lengths` expects an initial carry, got None, and "
                f"`{layer_name(self.cell)}` does not define one. Define its method "
                "`initial_carry`, or pass (x, carry, lengths)."
            )
        first, rest = (xs[-1], xs[:-1]) if self.reverse else (xs[0], xs[1:])
        (y, carry), started = apply_cell(self.cell, first, ps, st)
        self._check_state(st, started)
        last, ys, st = self._scan(rest, y, carry, None, ps, started)
        return last, (jax.tree.map(self._joined, y, ys) if self.return_sequence else None), st

    def _scan(
        self,
        xs: Array,
        y: PyTree,
        carry: PyTree,
        lengths: Array | None,
        ps: Parameters,
        st: States,
    ) -> tuple[PyTree, PyTree, PyTree]:
        """The result of `_run` from a carry and, if a step came before, its output."""
        (like, like_carry), like_st = jax.eval_shape(
            lambda x, carry, st: apply_cell(self.cell, (x, carry), ps, st), _one_step(xs), carry, st
        )
        y = jax.tree.map(jnp.zeros_like, like) if y is None else y
        start = self._settled((y, carry), (like, like_carry))
        self._check_state(st, like_st)
        self._check_batch(start, lengths)
        wide, narrowed = shared(ps)

        def step(loop: PyTree, now: PyTree) -> tuple[PyTree, PyTree]:
            (before, st), (x, time) = loop, now
            valid = None if lengths is None else time < lengths
            # Padding may be NaN, and 0 times NaN would reach the gradient.
            x = _or_zero(valid, x)
            after, st = apply_cell(self.cell, (x, before[1]), narrowed(wide), st)
            y = jax.tree.map(lambda y: _or_zero(valid, y), after[0])
            if valid is not None:
                after = jax.tree.map(lambda new, old: _choose(valid, new, old), after, before)
            return (after, st), (y if self.return_sequence else None)

        step = jax.checkpoint(step, prevent_cse=False) if self.checkpoint else step
        times = jnp.arange(xs.shape[0], dtype=jnp.int32)
        (last, st), ys = jax.lax.scan(
            step, (start, st), (xs, times), reverse=self.reverse, unroll=self.unroll
        )
        return last, ys, st

    def _joined(self, first: PyTree, rest: PyTree) -> PyTree:
        """The outputs of the first step and of the others, in the order of time."""
        parts = promote(jnp.expand_dims(first, 0), rest)
        return jnp.concatenate(parts[::-1] if self.reverse else parts)

    def _settled(self, start: PyTree, like: PyTree) -> PyTree:
        """The initial values in the dtypes that the cell returns, as a loop requires."""
        difference = first_difference(like, start, describe=_shape)
        if difference:
            raise ValueError(
                f"{subject(self)} expects `{layer_name(self.cell)}` to return a carry like the one "
                f"it gets, got another ({difference})."
            )
        return jax.tree.map(self._in_dtype_of, start, like)

    def _in_dtype_of(self, start: PyTree, like: PyTree) -> PyTree:
        if start.dtype == like.dtype:
            return start
        # In mode "convert" the cell would narrow it at its first step anyway.
        if result_dtype(start, like) != like.dtype and match_eltype_mode() != "convert":
            raise TypeError(
                f"{subject(self)} expects `{layer_name(self.cell)}` to return a carry as wide as "
                f"the one it gets, {start.dtype}, got {like.dtype}."
            )
        return start.astype(like.dtype)

    def _check_state(self, before: PyTree, after: PyTree) -> None:
        difference = first_difference(before, after)
        if difference:
            raise StateStructureError(
                f"`{layer_name(self.cell)}` returned a state unlike the one it got, {difference}. "
                f"Inside {subject(self)} it must keep structure, shapes and dtypes."
            )

    def _check_batch(self, start: PyTree, lengths: Array | None) -> None:
        if lengths is None:
            return
        for leaf in jax.tree.leaves(start):
            if leaf.shape[: lengths.ndim] != lengths.shape:
                raise ValueError(
                    f"{subject(self)} with `lengths` expects outputs and carry of "
                    f"`{layer_name(self.cell)}` to begin with the batch axes {lengths.shape}, got "
                    f"shape {leaf.shape}."
                )


def _shape(leaf: Any) -> str:
    return str(getattr(leaf, "shape", leaf))


def _one_step(xs: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype)


def _choose(valid: Array, new: Array, old: Array) -> Array:
    mask = jax.lax.broadcast_in_dim(valid, new.shape, tuple(range(valid.ndim)))
    return jnp.where(mask, new, old)


def _or_zero(valid: Array | None, x: Array) -> Array:
    return x if valid is None else _choose(valid, x, jnp.zeros_like(x))
