"""TrainState: everything that changes in training, and the static values it is made with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..core import (
    Record,
    StateStructureError,
    expanded,
    first_difference,
    layer_name,
    parameter_structure,
)
from ..precision import require_x64_for
from ._optimizer_audit import check_optimizer
from ._structure import Structure

_FIELDS = ("parameters", "states", "optimizer_state", "step")


class TrainState:
    """Model, parameters, states, optimiser and its state, and the number of steps taken.

    A pytree: arrays are leaves; `model` and `optimizer` are static. Immutable; the training
    functions return the next one.

    Args:
        model: the layer.
        parameters: its parameters, a tree of floating or complex arrays.
        states: its states.
        optimizer: an optax gradient transformation.

    Attributes:
        optimizer_state: the optimiser's own tree.
        step: int32 scalar, the number of updates made.

    The optimiser is audited once, by tracing: one that loses digits of the parameters' dtype (the
    widest, if they have several), as optax's schedules do in float64, or that cannot be traced,
    gives an `OptimizerPrecisionWarning` with the remedy, and an error within
    `precision.match_eltype("error")`.

    Raises:
        StateStructureError: the parameters are not those of the model; names the first path.
        EltypeMismatchError: the optimiser loses digits, or cannot be traced, in mode "error".
        TypeError: float64 NumPy parameters while x64 is off, or `optimizer` is no optax one.

    Source: `Training.TrainState` of Lux 1.31.

    Example:
        >>> import jax, optax
        >>> from sciml_lux import nn, setup
        >>> model = nn.Dense(2, 1)
        >>> TrainState(model, *setup(jax.random.key(0), model), optax.adam(1e-3))
        TrainState(Dense(2, 1), 3 parameters, step 0)
    """

    # A training step passes from flat leaves to flat leaves: building the trees, which nobody may
    # look at, costs more than the rest of the dispatch. They are made when asked for.
    __slots__ = ("_leaves", "_structure", "_trees")
    _leaves: list[Any]
    _structure: Structure
    _trees: tuple[Any, Any, Any, jax.Array] | None

    def __init__(
        self,
        model: Any,
        parameters: Any,
        states: Any,
        optimizer: optax.GradientTransformation,
    ) -> None:
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            raise TypeError(
                f"`TrainState` expects an optax optimiser, got {type(optimizer).__name__}. "
                "Pass for example optax.adam(1e-3), after the states."
            )
        require_x64_for(parameters, "`TrainState`: `parameters`")
        require_x64_for(states, "`TrainState`: `states`")
        _check_parameters(model, parameters)
        parameters, states = jax.tree.map(_as_array, (parameters, states))
        optimizer_state = jax.tree.map(_as_array, optimizer.init(parameters))
        check_optimizer(optimizer, parameters)
        trees = (parameters, states, optimizer_state, jnp.zeros((), jnp.int32))
        _fill(self, *_flat(model, optimizer, trees), trees)

    @property
    def model(self) -> Any:
        """The layer."""
        return self._structure.model

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """The optax gradient transformation."""
        return self._structure.optimizer

    @property
    def parameters(self) -> Any:
        """The parameters."""
        return self.trees[0]

    @property
    def states(self) -> Any:
        """The states."""
        return self.trees[1]

    @property
    def optimizer_state(self) -> Any:
        """The optimiser's tree."""
        return self.trees[2]

    @property
    def step(self) -> jax.Array:
        """The number of updates made, an int32 scalar."""
        return self.trees[3]

    @property
    def trees(self) -> tuple[Any, Any, Any, jax.Array]:
        """Parameters, states, optimiser state and step."""
        if self._trees is None:
            _set_trees(self, jax.tree.unflatten(self._structure.treedef, self._leaves))
        return self._trees  # pyright: ignore[reportReturnType]

    @property
    def flat(self) -> tuple[Structure, list[Any]]:
        """The static half, and the leaves of all trees."""
        return self._structure, self._leaves

    @staticmethod
    def from_flat(structure: Structure, leaves: list[Any]) -> "TrainState":
        """The opposite of `flat`."""
        return _fill(object.__new__(TrainState), structure, leaves, None)

    def replace(self, **fields: Any) -> "TrainState":
        """The same state with some of `parameters`, `states`, `optimizer_state`, `step` new.

        Raises:
            TypeError: another name; float64 NumPy arrays while x64 is off.
        """
        unknown = set(fields) - set(_FIELDS)
        if unknown:
            raise TypeError(
                f"`TrainState.replace` knows {', '.join(_FIELDS)}, got {', '.join(unknown)}."
            )
        for name, tree in fields.items():
            require_x64_for(tree, f"`TrainState.replace`: `{name}`")
        fields = {name: jax.tree.map(_as_array, tree) for name, tree in fields.items()}
        if "step" in fields:
            fields["step"] = fields["step"].astype(jnp.int32)
        trees = tuple(fields.get(name, old) for name, old in zip(_FIELDS, self.trees, strict=True))
        return _from_trees((self.model, self.optimizer), trees)

    def with_states(self, states: Any) -> "TrainState":
        """The same with other states; `testmode` and `update_state` ask for it."""
        return self.replace(states=states)

    def with_optimizer(self, optimizer: optax.GradientTransformation) -> "TrainState":
        """The same with another optimiser, whose state begins anew; the step count goes on."""
        fresh = TrainState(self.model, self.parameters, self.states, optimizer)
        return fresh.replace(step=self.step)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"`TrainState` is immutable: cannot set `{name}`. Use replace({name}=...)."
        )

    def __copy__(self) -> "TrainState":
        return self

    def __deepcopy__(self, memo: Any) -> "TrainState":
        return self  # Nothing in it can change.

    def __repr__(self) -> str:
        count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(self.parameters))
        return f"TrainState({self.model!r}, {count:_} parameters, step {self.step})"


def _as_array(leaf: Any) -> Any:
    """A JAX array of the leaf's own dtype; not weakly typed, or a loop could not carry it."""
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return leaf if is_key else jnp.asarray(leaf, jnp.result_type(leaf))


def _check_parameters(model: Any, parameters: Any) -> None:
    expected, parameters = parameter_structure(model), expanded(parameters)
    if not (isinstance(expected, Record) and isinstance(parameters, Record)):
        return  # A user's own parameter type is judged by the layers that read it.
    difference = first_difference(expected, parameters, lambda leaf: f"shape {leaf.shape}")
    if difference:
        raise StateStructureError(
            f"`TrainState`: the parameters are not those of `{layer_name(model)}`, {difference}. "
            "Pass the trees that setup(key, model) made for this model."
        )


def _flat(model: Any, optimizer: Any, trees: Any) -> tuple[Structure, list[Any]]:
    leaves, treedef = jax.tree.flatten(trees)
    return Structure(model, optimizer, treedef), leaves


_set_structure = TrainState.__dict__["_structure"].__set__
_set_leaves = TrainState.__dict__["_leaves"].__set__
_set_trees = TrainState.__dict__["_trees"].__set__


def _fill(tstate: TrainState, structure: Structure, leaves: list[Any], trees: Any) -> TrainState:
    _set_structure(tstate, structure)
    _set_leaves(tstate, leaves)
    _set_trees(tstate, trees)
    return tstate


def _from_trees(static: tuple[Any, Any], trees: Any) -> TrainState:
    return _fill(object.__new__(TrainState), *_flat(*static, trees), trees)


def _flatten(tstate: TrainState) -> tuple:
    return tstate.trees, (tstate.model, tstate.optimizer)


def _flatten_with_keys(tstate: TrainState) -> tuple:
    keys = map(jax.tree_util.GetAttrKey, _FIELDS)
    return tuple(zip(keys, tstate.trees, strict=True)), (tstate.model, tstate.optimizer)


jax.tree_util.register_pytree_with_keys(TrainState, _flatten_with_keys, _from_trees, _flatten)
