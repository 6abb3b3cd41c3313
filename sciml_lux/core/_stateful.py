"""StatefulLuxLayer: a model with its parameters and states, called like a function of `x`."""

import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ..precision.internal import own_memory
from ._contract import layer_name
from ._door import admitted_parameters, admitted_states
from ._guard import apply
from ._tree import first_difference
from ._types import LayerLike, Parameters, States

_UNSET: Any = object()


class StateChangedError(ValueError):
    """A call that returns only `y` would drop a state that changed.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.BatchNorm(2)
        >>> f = StatefulLuxLayer(model, *setup(0, model))
        >>> f(jnp.ones((4, 2), jnp.float32))
        Traceback (most recent call last):
        ...
        sciml_lux.core._stateful.StateChangedError: `StatefulLuxLayer` of `BatchNorm`: the state ...
    """


class StatefulLuxLayer:
    """A model with its parameters and states as one callable: `f(x)` is `y`.

    It is a pytree (the arrays are its leaves, the model is static) and immutable: a call stores
    nothing, so it never leaks a tracer, and JAX and diffrax see a plain function. For a state that
    changes, `y, f = f.call(x)` returns the function with the next state.

    Args:
        model: the layer.
        ps: parameters, or None to pass them at each call; dicts become `Record`s, and NumPy arrays
            are copied, in the states as well.
        st: states.

    Raises:
        StateChangedError: `f(x)` would drop a state that changed.
        StateStructureError: `ps` or `st` has an entry that the model does not have.

    Source: `StatefulLuxLayer` of Lux 1.31, which stores the new state in place; under JAX that
    would leak tracers.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Dense(2, 1)
        >>> f = StatefulLuxLayer(model, *setup(jax.random.key(0), model))
        >>> jax.jacobian(f)(jnp.ones(2, jnp.float32)).shape
        (1, 2)
    """

    __slots__ = ("__weakref__", "model", "ps", "st")
    model: LayerLike
    ps: Parameters
    st: States

    def __init__(self, model: LayerLike, ps: Parameters, st: States) -> None:
        ps, st = own_memory(ps), own_memory(st)
        _fill(self, model, admitted_parameters(model, ps), admitted_states(model, st))

    @property
    def states(self) -> States:
        """The states, by the name that `update_state` uses."""
        return self.st

    def with_states(self, states: States) -> "StatefulLuxLayer":
        """The same model and parameters with other states."""
        return StatefulLuxLayer(self.model, self.ps, states)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"`StatefulLuxLayer` is immutable: cannot set `{name}`. "
            "Make a new one, or use `y, f = f.call(x)` for the next state."
        )

    def __call__(self, x: PyTree, ps: Parameters = _UNSET) -> PyTree:
        """`y` for the input `x`, with the stored parameters or those given."""
        y, st = self._apply(x, ps)
        if st is not self.st:
            _check_unchanged(self.model, self.st, st)
        return y

    def call(self, x: PyTree, ps: Parameters = _UNSET) -> tuple[PyTree, "StatefulLuxLayer"]:
        """`y` for the input `x`, and the same function with the new state."""
        y, st = self._apply(x, ps)
        return y, StatefulLuxLayer(self.model, self.ps, st)

    def _apply(self, x: PyTree, ps: Parameters) -> tuple[PyTree, States]:
        ps = self.ps if ps is _UNSET else ps
        if ps is None:
            raise TypeError(
                f"`StatefulLuxLayer` of `{layer_name(self.model)}` holds no parameters; "
                "pass them: f(x, ps)."
            )
        return apply(self.model, x, ps, self.st)

    def __repr__(self) -> str:
        return f"StatefulLuxLayer({self.model!r}, ps, st)"

    def __reduce__(self) -> tuple:
        return (StatefulLuxLayer, (self.model, self.ps, self.st))


def _check_unchanged(model: LayerLike, before: States, after: States) -> None:
    old, new = jax.tree.leaves(before), jax.tree.leaves(after)
    same_structure = jax.tree.structure(before) == jax.tree.structure(after)
    if same_structure and all(map(_same, old, new)):
        return
    where = first_difference(before, after) or "a value differs"
    raise StateChangedError(
        f"`StatefulLuxLayer` of `{layer_name(model)}`: the state changed in this call ({where}), "
        "and f(x) would drop it. Use `y, f = f.call(x)` to keep it, or testmode(f) if the layer "
        "changes states only in training."
    )


def _same(old: PyTree, new: PyTree) -> bool:
    if old is new:
        return True
    if isinstance(old, Tracer) or isinstance(new, Tracer):
        return False  # The values are not known under a trace: only identity can be compared.
    if hasattr(old, "dtype") and jax.dtypes.issubdtype(old.dtype, jax.dtypes.prng_key):
        old, new = jax.random.key_data(old), jax.random.key_data(new)
    return np.array_equal(old, new, equal_nan=jnp.issubdtype(np.asarray(old).dtype, np.inexact))


def _flatten_with_keys(f: StatefulLuxLayer) -> tuple:
    key = jax.tree_util.GetAttrKey
    return ((key("ps"), f.ps), (key("st"), f.st)), f.model


def _unflatten(model: LayerLike, children: Iterable[PyTree]) -> StatefulLuxLayer:
    return _fill(object.__new__(StatefulLuxLayer), model, *children)


def _fill(f: StatefulLuxLayer, model: LayerLike, ps: Parameters, st: States) -> StatefulLuxLayer:
    for name, value in (("model", model), ("ps", ps), ("st", st)):
        object.__setattr__(f, name, value)
    return f


_children = operator.attrgetter("ps", "st")
jax.tree_util.register_pytree_with_keys(
    StatefulLuxLayer, _flatten_with_keys, _unflatten, lambda f: (_children(f), f.model)
)
