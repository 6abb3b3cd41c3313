"""DebugLayer and debug_mode: find where the first NaN comes from."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ...core import (
    LayerLike,
    Parameters,
    States,
    StateStructureError,
    WrapperLayer,
    apply,
    parameter_structure,
    state_structure,
)
from ...core.internal import check_choice, first_difference, named_leaves, subject
from ...ops import raise_if, watch_cotangent
from ...precision.internal import floating_leaves
from ..containers._named_layers import as_layer
from ._layer_map import layer_map

_CHECKS = ("both", "forward", "backward", "none")


class DebugLayer(WrapperLayer):
    """y = layer(x), with an error that names the layer if a number is not finite.

    Args:
        layer: a layer.
        nan_check: "forward" checks input, parameters, states, output and new states; "backward"
            checks the cotangents of output, input and parameters; or "both"; or "none".
        error_check: whether to check that the layer preserves the structure, shapes and dtypes of
            its state, which is otherwise checked only for the outermost layer.

    Parameters and States: exactly those of the layer.

    Raises:
        RuntimeError: at run time, a NaN or infinity; the message has the path of the layer and
            where the number is. Under `jit`, JAX wraps the message in its own type of error.
        StateStructureError: the layer changed the structure of its state.
        ValueError: no such check.

    Source: `Experimental.DebugLayer` of Lux 1.31, which also logs every call, and does not report
        infinities.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(nn.Dense(2, 2), nn.DebugLayer(jnp.log))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> try:
        ...     model(jnp.zeros(2, jnp.float32), jax.tree.map(jnp.zeros_like, ps), st)
        ... except RuntimeError as error:
        ...     print(error)
        `WrappedFunction` (at `layer_2`): the output is not finite.
    """

    layer: LayerLike
    _: dataclasses.KW_ONLY
    nan_check: str = "both"
    error_check: bool = True

    def __post_init__(self) -> None:
        """Make a layer of a function, and check the option."""
        object.__setattr__(self, "layer", as_layer(self.layer, "DebugLayer"))
        check_choice("DebugLayer", "nan_check", self.nan_check, _CHECKS)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output of the layer, checked."""
        name = subject(self.layer)
        if self.nan_check in ("both", "backward"):
            x = _watched(x, f"{name}: the cotangent of the input")
            ps = _watched(ps, f"{name}: the cotangent of the parameter")
        y, new = apply(self.layer, x, ps, st)
        if self.error_check and (difference := first_difference(st, new)):
            raise StateStructureError(
                f"{name} returned a state unlike the one it got, {difference}. Return `st` itself "
                "or st | {'name': value} with the same shapes and dtypes."
            )
        cause, causes = 0, ()
        if self.nan_check in ("both", "forward"):
            cause, causes = _cause(name, x, ps, st, y, new)
            y = raise_if(y, cause, causes) if causes and jax.tree.leaves(y) else y
        if self.nan_check != "none":
            backward = f"{name}: the cotangent of the output"
            y = _watched(y, None if self.nan_check == "forward" else backward, cause, causes)
        return y, new


def debug_mode(model: LayerLike, *, nan_check: str = "both", error_check: bool = True) -> LayerLike:
    """The same model with checks around its leaf layers: the first NaN or infinity is an error.

    The error names the path of the layer, and whether the number is in its input, parameters,
    states, output or one of their cotangents. Parameters and states are those of the model, so that
    the two models are interchangeable. Values and derivatives of every order are the same.

    Args:
        model: the layer.
        nan_check: "both", "forward", "backward" or "none"; see `DebugLayer`.
        error_check: whether to check that each layer preserves the structure of its state.

    Returns:
        The model with a `DebugLayer` around each leaf; a layer whose trees do not contain those of
        its children, such as a `TiedLayer`, is checked as a whole.

    Raises:
        ValueError: no such check.

    Source: `Experimental.@debug_mode` of Lux 1.31.

    Example:
        >>> from sciml_lux import nn
        >>> debug_mode(nn.Chain(nn.Dense(2, 3), nn.relu), nan_check="forward")[0]
        DebugLayer(Dense(2, 3), nan_check='forward')
    """

    def watch(
        layer: LayerLike, ps: Parameters, st: States, _: Any
    ) -> tuple[LayerLike, Parameters, States]:
        return DebugLayer(layer, nan_check=nan_check, error_check=error_check), ps, st

    return layer_map(watch, model, parameter_structure(model), state_structure(model))[0]


def _cause(
    name: str, x: PyTree, ps: Parameters, st: States, y: PyTree, new: PyTree
) -> tuple[Array | int, tuple[str, ...]]:
    """The number of the first message that applies, counted from 1, or 0; and the messages."""
    parts = {
        "the input": x,
        "the parameter": ps,
        "the state": st,
        "the output": y,
        "the new state": new,
    }
    messages, failed = [], []
    for part, tree in parts.items():
        for path, leaf in named_leaves(tree).items():
            if _is_float(leaf):
                messages.append(f"{_with_path(f'{name}: {part}', path)} is not finite.")
                failed.append(~jnp.isfinite(leaf).all())
    if not failed:
        return 0, ()
    flags = jnp.stack(failed)
    first = jnp.argmax(flags).astype(jnp.int32) + 1
    return jnp.where(flags.any(), first, jnp.zeros((), jnp.int32)), tuple(messages)


def _watched(
    tree: PyTree, what: str | None, cause: Array | int = 0, causes: tuple[str, ...] = ()
) -> Any:
    """`tree` with a check on the cotangent of each floating leaf."""
    leaves, rebuild = floating_leaves(tree)
    named = [path for path, leaf in named_leaves(tree).items() if _is_float(leaf)]
    messages = [what and f"{_with_path(what, path)} is not finite." for path in named]
    return rebuild(
        [
            watch_cotangent(leaf, message, cause=cause, causes=causes)
            for leaf, message in zip(leaves, messages, strict=True)
        ]
    )


def _with_path(text: str, path: str) -> str:
    return f"{text} `{path}`" if path else text


def _is_float(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
