"""The life of one call: what happens around `y, st = layer(x, ps, st)`, in order."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from jaxtyping import PyTree

from ._contract import layer_name
from ._door import admitted, as_given
from ._explain import SIGNATURE, explain
from ._own_dtype import match_own_dtype
from ._path import Frame, frames, layer_path, subject
from ._tree import StateStructureError, first_difference
from ._types import LayerLike, Parameters, States


class Observation(NamedTuple):
    """A finished call of a layer, as `summary` sees it."""

    path: str
    layer: LayerLike
    ps: Parameters
    y: PyTree
    around: tuple[Any, ...]


observer: ContextVar[Callable[[Observation], None] | None] = ContextVar("observer", default=None)


def apply(model: LayerLike, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
    """`y, st = model(x, ps, st)` for anything that keeps the contract, subclass of `Layer` or not.

    Args:
        model: the layer.
        x: input, an array or a tree of arrays.
        ps: parameters; a `Record`, a dict, or any object with the same attributes.
        st: states.

    Returns:
        The output, and states with the structure, shapes and dtypes of `st`.

    Raises:
        TypeError: `x` is not an array; the layer does not return a pair.
        AttributeError: `ps` or `st` lacks an entry, or they are swapped.
        StateStructureError: `ps` or `st` has an entry too many; the state changed its structure, a
            shape or a dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Dense(2, 3)
        >>> y, st = apply(model, jnp.ones((1, 2), jnp.float32), *setup(0, model))
        >>> y.shape
        (1, 3)
    """
    if getattr(type(model).__call__, "is_guarded", False):
        return model(x, ps, st)
    return guarded_call(model, model, x, ps, st)


def is_observed() -> bool:
    """Whether someone looks at the calls of layers, as `summary` does."""
    return observer.get() is not None


def guarded(forward: Callable) -> Callable:
    """A method `(self, x, ps, st) -> (y, st)` with the checks of the contract around it.

    `Layer` does this for every `__call__`; another method of the same form uses it as a decorator.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Layer
        >>> class Shift(Layer):
        ...     @guarded
        ...     def back(self, x, ps, st):
        ...         return x
        >>> Shift().back(jnp.ones(1, jnp.float32), (), ())
        Traceback (most recent call last):
        ...
        TypeError: `Shift` must return the pair (y, st), got ArrayImpl. ...
    """

    @functools.wraps(forward)
    def __call__(self: Any, *args: PyTree, **kwargs: PyTree) -> tuple[PyTree, States]:
        x, ps, st = args if len(args) == 3 and not kwargs else _three(self, args, kwargs)
        return guarded_call(self, forward.__get__(self), x, ps, st)

    __call__.is_guarded = True  # pyright: ignore[reportAttributeAccessIssue]
    return __call__


def guarded_call(layer: LayerLike, forward: Callable, x: PyTree, ps: Parameters, st: States) -> Any:
    """`forward(x, ps, st)` of `layer`, with the checks of the contract around it.

    The checks look at names, types, shapes and dtypes alone: under `jit` they cost nothing at run
    time. Paths and messages are computed only when something is wrong.

    Raises:
        TypeError: data that is not an array; float64 NumPy data while x64 is off; a result that is
            not a pair.
        AttributeError: a parameter or state is missing, or `ps` and `st` are swapped.
        StateStructureError: an entry too many, or the state came out with another structure, shape
            or dtype.
    """
    around, given = frames.get(), st
    if not around:
        x, ps, st = admitted(layer, x, ps, st)
    token = frames.set((*around, Frame(layer, ps, st)))
    try:
        output = forward(match_own_dtype(layer, x, ps, st), ps, st)
        if not (isinstance(output, tuple) and len(output) == 2):
            raise TypeError(
                f"{subject(layer)} must return the pair (y, st), got {type(output).__name__}. "
                f"The contract is {SIGNATURE}."
            )
        if (observe := observer.get()) is not None:
            outer = tuple(frame.layer for frame in around)
            observe(Observation(layer_path(), layer, ps, output[0], outer))
    except Exception as error:
        explain(error, layer, ps, st)
        raise
    finally:
        frames.reset(token)
    if around:
        return output
    y, new = output
    if new is not st:
        _check_state(layer, st, new)
    return y, as_given(given, st, new)


def _three(layer: LayerLike, args: tuple, kwargs: dict) -> tuple[Any, Any, Any]:
    names = ("x", "ps", "st")
    given = dict(zip(names, args, strict=False)) | kwargs
    if len(args) > 3 or set(given) != set(names) or len(args) + len(kwargs) != 3:
        got = ", ".join([*(f"argument {i + 1}" for i in range(len(args))), *kwargs]) or "none"
        raise TypeError(
            f"`{layer_name(layer)}` is called with three arguments, {SIGNATURE}, got "
            f"{len(args) + len(kwargs)} ({got}). Make `ps` and `st` with "
            "ps, st = setup(key, model)."
        )
    return given["x"], given["ps"], given["st"]


def _check_state(layer: LayerLike, before: States, after: States) -> None:
    difference = first_difference(before, after)
    if difference:
        raise StateStructureError(
            f"`{layer_name(layer)}` returned a state unlike the one it got, {difference}. Return "
            "`st` itself or st | {'name': value} with the same shapes and dtypes."
        )
