"""Layer: the contract `y, st = layer(x, ps, st)`."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, dataclass_transform

import jax
import numpy as np
from jaxtyping import PyTree

from ._children import named, with_children
from ._contract import is_layer, layer_name
from ._display import layer_tree
from ._guard import apply, guarded
from ._record import Record
from ._static_value import StaticValue
from ._structure import known_structure
from ._types import Children, Key, Parameters, States


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class Layer(StaticValue):
    """Base of layers: a value without arrays, called as `y, st = layer(x, ps, st)`.

    To write a layer, annotate its fields and write `__call__`; with parameters or states of its own
    also `initial_parameters` or `initial_states`. Fields that hold layers or tuples of layers are
    its children: their parameters and states are entries with the field's name, drawn from the key
    `fold_in(key, index)`. A layer whose children are not its fields defines `sublayers`.

    Source: `AbstractLuxLayer` and `AbstractLuxContainerLayer` of Lux (LuxCore 1.5). They are one
    class here, since the fields of a layer show whether it has children.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import setup
        >>> class Shift(Layer):
        ...     dims: int
        ...     def initial_parameters(self, key, dtype):
        ...         return Record(shift=jnp.zeros((1, self.dims), dtype))
        ...     def __call__(self, x, ps, st):
        ...         return x + ps.shift, st
        >>> layer = Shift(2)
        >>> y, st = layer(jnp.ones((3, 2), jnp.float32), *setup(jax.random.key(0), layer))
        >>> y.shape
        (3, 2)
    """

    # Whether integers in its input are indices, which keep their dtype.
    takes_indices: ClassVar[bool] = False
    # Whether the dtype of floats in its input is left to the layer inside.
    leaves_floats_inside: ClassVar[bool] = False
    # Whether it may be a part of a model and be given the trees of the whole model.
    may_be_a_part: ClassVar[bool] = False
    # Whether `summary` has a row for it in addition to those of its children.
    has_summary_row: ClassVar[bool] = False

    @functools.cached_property
    def _own_parameters(self) -> Any:
        """The tree of parameters, for its names: the entries that a call may be given."""
        return known_structure(self.initial_parameters)

    @functools.cached_property
    def _own_states(self) -> Any:
        """The tree of states, for its names."""
        return known_structure(self.initial_states)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "__call__" in cls.__dict__:
            cls.__call__ = guarded(cls.__dict__["__call__"])

    def sublayers(self) -> dict[str, Any]:
        """The children by name, in order."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}  # pyright: ignore[reportAttributeAccessIssue]
        return {name: value for name, value in fields.items() if _holds_layers(self, name, value)}

    def with_sublayers(self, children: Children) -> Any:
        """The same layer with other children.

        Each child is found in the fields, also inside tuples and pairs of name and layer, and
        replaced; `__post_init__` does not run again. A layer whose children are not in its fields
        defines this method itself.

        Args:
            children: a layer for each name of `sublayers()`; names may be nested as there, or
                dotted.

        Raises:
            ValueError: other names.
            TypeError: a child to be replaced is not in the fields exactly once.

        Example:
            >>> from sciml_lux import nn
            >>> model = nn.Chain(nn.Dense(2, 3), nn.Dense(3, 1))
            >>> model.with_sublayers(model.sublayers() | {"layer_2": nn.Dense(3, 5)})
            Chain(Dense(2, 3), Dense(3, 5))
        """
        return with_children(self, children)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Record:
        """The initial parameters: those of the children, by name."""
        return _initial("initial_parameters", self.sublayers(), key, dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> Record:
        """The initial states: those of the children, by name."""
        return _initial("initial_states", self.sublayers(), key, dtype)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output and the new state; subclasses define it."""
        raise TypeError(
            f"`{layer_name(self)}` defines no `__call__`. Write "
            "`def __call__(self, x, ps, st): ... return y, st`."
        )

    def __str__(self) -> str:
        return layer_tree(self)


class WrapperLayer(Layer):
    """Base of layers around one layer, whose parameters and states are exactly the inner layer's.

    A subclass has one field that holds a layer, and by default calls that layer. A subclass with
    other trees than the inner layer's defines `inner_trees`, and with other states `outer_states`
    too: the call and `initial_carry` use them.

    Source: `AbstractLuxWrapperLayer` of Lux (LuxCore 1.5).

    Raises:
        TypeError: the fields hold no layer, or more than one.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> class Scaled(WrapperLayer):
        ...     layer: nn.Dense
        ...     factor: float
        ...     def __call__(self, x, ps, st):
        ...         y, st = super().__call__(x, ps, st)
        ...         return self.factor * y, st
        >>> model = Scaled(nn.Dense(2, 3), 0.5)
        >>> y, st = model(jnp.ones((1, 2), jnp.float32), *setup(0, model))
        >>> y.shape
        (1, 3)
    """

    leaves_floats_inside: ClassVar[bool] = True

    @property
    def wrapped(self) -> Any:
        """The inner layer."""
        children = list(self.sublayers().values())
        if len(children) != 1:
            raise TypeError(
                f"`{layer_name(self)}` is a wrapper and needs one field that holds a layer, got "
                f"{len(children)}. Use `Layer` for several."
            )
        return children[0]

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Any:
        """The inner layer's parameters."""
        return self.wrapped.initial_parameters(key, dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> Any:
        """The inner layer's states."""
        return self.wrapped.initial_states(key, dtype)

    def inner_trees(self, ps: Parameters, st: States) -> tuple[Parameters, States]:
        """The parameters and states that are passed to the inner layer."""
        return ps, st

    def outer_states(self, st: States, inner: States) -> Any:
        """The states after a call, with the new states `inner` of the inner layer."""
        return inner

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The inner layer's output."""
        y, inner = apply(self.wrapped, x, *self.inner_trees(ps, st))
        return y, self.outer_states(st, inner)

    def initial_carry(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The initial carry of the inner layer; None if it has no `initial_carry`."""
        start = getattr(self.wrapped, "initial_carry", None)
        if start is None:
            return None, st
        carry, inner = start(x, *self.inner_trees(ps, st))
        return carry, self.outer_states(st, inner)


def _holds_layers(layer: Layer, name: str, value: object) -> bool:
    if not isinstance(value, tuple):
        return is_layer(value)
    found = [_holds_layers(layer, name, entry) for entry in value]
    if any(found) and not all(found):
        raise TypeError(
            f"`{layer_name(layer)}.{name}` mixes layers with other values, got {value!r}. Give "
            "layers a field of their own."
        )
    return any(found)


def _initial(method: str, children: Children, key: Key, dtype: np.dtype) -> Any:
    """The Record of what `method` of each child returns; children may be nested."""
    children = named(children)
    if not isinstance(children, Mapping):
        return getattr(children, method)(key, dtype)
    return Record(
        {
            name: _initial(method, child, jax.random.fold_in(key, index), dtype)
            for index, (name, child) in enumerate(children.items())
        }
    )
