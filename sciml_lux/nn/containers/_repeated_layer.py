"""RepeatedLayer: one layer applied many times."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, States, StateStructureError, WrapperLayer, apply
from ...core.internal import check_integer, first_difference, subject
from ...precision import match_eltype_mode, result_dtype, shared
from ...precision.internal import as_dtype
from ._named_layers import as_layer


class RepeatedLayer(WrapperLayer):
    """y = layer(... layer(layer(x))), or y ← layer((y, x)) repeatedly, starting from y = x.

    The loop is a `lax.scan`: the program, and the time to compile it, do not grow with `repeats`.

    Args:
        layer: a layer or function whose output has the shape of its input.
        repeats: how many times.
        input_injection: whether the layer gets the pair (last output, x) each time.
        checkpoint: whether the gradient recomputes the inside of each repeat, so that only the
            outputs stay in memory.

    Inputs: x, anything the layer takes.

    Returns: the last output, in the dtype that the layer returns for x: if the layer widens, x is
    widened before the first repeat, also where it is injected.

    Parameters and States: exactly those of the layer; states pass from one repeat to the next.

    Raises:
        ValueError: fewer than one repeat; the output differs from the input in structure or shape.
        TypeError: the dtype of the output is neither that of the input nor a wider one.
        StateStructureError: the layer changes the structure, a shape or a dtype of its state.

    Source: `RepeatedLayer` of Lux 1.31, as documented: its code feeds the first x to every repeat
        when there is no injection.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.RepeatedLayer(nn.Dense(2, 2, nn.tanh), 100)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape, list(ps)
        ((5, 2), ['weight', 'bias'])
    """

    layer: LayerLike
    repeats: int = 10
    _: dataclasses.KW_ONLY
    input_injection: bool = False
    checkpoint: bool = False

    def __post_init__(self) -> None:
        """Make a layer of a function, and check the number of repeats."""
        object.__setattr__(self, "layer", as_layer(self.layer, "RepeatedLayer"))
        check_integer("RepeatedLayer", "repeats", self.repeats, least=1)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output of the last repeat."""

        wide_ps, narrowed_ps = shared(ps)

        def once(y: PyTree, x: PyTree, st: States) -> tuple[Any, Any]:
            x = (y, x) if self.input_injection else y
            return apply(self.layer, x, narrowed_ps(wide_ps), st)

        def step(x: PyTree) -> Any:
            return jax.eval_shape(lambda x: once(x, x, st), x)

        start = self._start(x, st, step)
        wide_start, narrowed_start = shared(start)

        def repeat(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            y, st = carry
            return once(y, narrowed_start(wide_start), st), None

        body = jax.checkpoint(repeat, prevent_cse=False) if self.checkpoint else repeat
        return jax.lax.scan(body, (start, st), None, length=self.repeats)[0]

    def _start(self, x: PyTree, st: States, step: Callable[..., Any]) -> Any:
        """`x` in the dtypes that the layer returns for it, which a loop must carry."""
        y, new = step(x)
        difference = first_difference(st, new)
        if difference:
            raise StateStructureError(
                f"{subject(self)} expects a layer that keeps the structure of its state, "
                f"{difference}. Return `st` itself or st | {{'name': value}}."
            )
        difference = first_difference(x, y, lambda leaf: f"shape {jnp.shape(leaf)}")
        if difference:
            raise ValueError(
                f"{subject(self)} expects a layer whose output has the shape of its input, "
                f"{difference}."
            )
        start = jax.tree.map(_widened, x, y)
        if first_difference(x, start):
            y = step(start)[0]
        difference = first_difference(start, y)
        if difference:
            raise TypeError(
                f"{subject(self)} expects a layer whose output has the dtype of its input or a "
                f"wider one, {difference}. Convert the input, or let the layer convert its output."
            )
        return start


def _widened(x: PyTree, y: PyTree) -> Any:
    """`x` in the dtype of `y` if that is wider, or if the layer narrows its input."""
    if x.dtype == y.dtype or not jnp.issubdtype(y.dtype, jnp.inexact):
        return x
    is_integer = jnp.issubdtype(x.dtype, jnp.integer)
    # In mode "convert" the layer narrows its input itself.
    narrows = match_eltype_mode() == "convert"
    if not (is_integer or narrows) and result_dtype(x, y) != y.dtype:
        return x
    return as_dtype(x, y.dtype)
