"""TrainState: everything that changes in training, and the static values it is made with."""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, Record, States, layer_name
from ...core.internal import admitted_parameters, admitted_states
from ...precision.internal import own_array, require_exact_numbers
from ..compilation._structure import Structure
from ..optimisers._average import average_of
from ..optimisers._is_optax import check_optax
from ..optimisers._optimizer_audit import check_optimizer
from ._donation import any_deleted, require_alive
from ._model_trees import check_optimizer_state, check_parameters, check_trees

_LONGEST_REPR = 100
_FIELDS = ("parameters", "states", "optimizer_state", "step")


class TrainState:
    """Model, parameters, states, optimiser and its state, and the number of steps taken.

    A pytree: arrays are leaves; `model` and `optimizer` are static. Immutable; the training
    functions return the next one.

    Args:
        model: the layer.
        parameters: its parameters, a tree of floating or complex arrays; dicts become `Record`s.
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
        TypeError: float64 NumPy parameters while x64 is off, or `optimizer` is not of optax.

    Source: `Training.TrainState` of Lux 1.31.

    Example:
        >>> import jax, optax
        >>> from sciml_lux import nn, setup
        >>> model = nn.Dense(2, 1)
        >>> TrainState(model, *setup(jax.random.key(0), model), optax.adam(1e-3))
        TrainState(Dense(2, 1), 3 parameters, step 0)
    """

    # A training step passes from flat leaves to flat leaves: building the trees, which nobody may
    # look at, costs more than the rest of the call. They are made when asked for.
    __slots__ = ("_leaves", "_structure", "_trees")
    _leaves: list[Any]
    _structure: Structure
    _trees: tuple[Any, Any, Any, jax.Array] | None

    def __init__(
        self,
        model: LayerLike,
        parameters: Parameters,
        states: States,
        optimizer: optax.GradientTransformation,
    ) -> None:
        check_optax("TrainState", optimizer)
        require_exact_numbers(parameters, "`TrainState`: `parameters`")
        require_exact_numbers(states, "`TrainState`: `states`")
        parameters, states = admitted_parameters(model, parameters), admitted_states(model, states)
        require_alive("`TrainState`", Record(parameters=parameters, states=states))
        check_parameters("`TrainState`", model, parameters)
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
    def averaged_parameters(self) -> Any:
        """The moving average of the parameters by `with_average`, in their dtypes.

        Raises:
            ValueError: the optimiser has none.
        """
        average = average_of(self.parameters, self.optimizer_state)
        if average is None:
            raise ValueError(
                "`TrainState` has no average of its parameters. Make the optimiser with "
                "training.with_average(optimizer, 0.999)."
            )
        return average

    @property
    def evaluated_parameters(self) -> Any:
        """The parameters for validation: their average if there is one, else themselves."""
        average = average_of(self.parameters, self.optimizer_state)
        return self.parameters if average is None else average

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
        """Parameters, states, optimiser state and step.

        Raises:
            DonatedStateError: they were given to a step with `donate=True`.
        """
        self.require_alive()
        return self._built()

    def require_alive(self) -> None:
        """Raise if a step with `donate=True` was given the arrays; see `DonatedStateError`."""
        if any_deleted(self._leaves):
            require_alive("`TrainState`", Record(dict(zip(_FIELDS, self._built(), strict=True))))

    def _built(self) -> tuple[Any, Any, Any, jax.Array]:
        if self._trees is None:
            _set_trees(self, jax.tree.unflatten(self._structure.treedef, self._leaves))
        return self._trees  # pyright: ignore[reportReturnType]

    @property
    def flat(self) -> tuple[Structure, list[Any]]:
        """The static half, and the leaves of all trees; `from_flat` is the inverse."""
        return self._structure, self._leaves

    @staticmethod
    def from_flat(structure: Structure, leaves: list[jax.Array]) -> "TrainState":
        """The state of a static half and leaves; the inverse of `flat`."""
        return _fill(object.__new__(TrainState), structure, leaves, None)

    def replace(self, **fields: PyTree) -> "TrainState":
        """The same state with some of `model`, its trees and `step` new.

        Another model, such as a neural ODE over a longer time, takes the trees that are there; the
        optimiser and its state stay.

        Args:
            **fields: `model`, `parameters`, `states`, `optimizer_state`, `step`.

        Raises:
            TypeError: another name; float64 NumPy arrays while x64 is off.
            StateStructureError: parameters or states are not those of the new model, or the
                optimiser's state is not that of new parameters; names the first path.

        Example:
            >>> import jax, optax
            >>> from sciml_lux import nn, setup
            >>> model = nn.Dense(2, 1)
            >>> tstate = TrainState(model, *setup(jax.random.key(0), model), optax.adam(1e-3))
            >>> tstate.replace(model=nn.Dense(2, 1, nn.tanh), step=7)
            TrainState(Dense(2, 1, tanh), 3 parameters, step 7)
        """
        unknown = set(fields) - {"model", *_FIELDS}
        if unknown:
            raise TypeError(
                f"`TrainState.replace` knows model, {', '.join(_FIELDS)}, got "
                f"{', '.join(sorted(unknown))}. For another optimiser there is with_optimizer."
            )
        model = fields.pop("model", self.model)
        for name, tree in fields.items():
            require_exact_numbers(tree, f"`TrainState.replace`: `{name}`")
        for name, admitted in (("parameters", admitted_parameters), ("states", admitted_states)):
            if name in fields:
                fields[name] = admitted(model, fields[name])
        fields = {name: jax.tree.map(_as_array, tree) for name, tree in fields.items()}
        if "step" in fields:
            fields["step"] = fields["step"].astype(jnp.int32)
        trees = tuple(fields.get(name, old) for name, old in zip(_FIELDS, self.trees, strict=True))
        if model is not self.model:
            check_trees("`TrainState.replace`", model, *trees[:2])
            check_optimizer_state("`TrainState.replace`", self.optimizer, trees[0], trees[2])
        return _from_trees((model, self.optimizer), trees)

    def with_states(self, states: States) -> "TrainState":
        """The same state with other model states; `testmode` and `update_state` call it."""
        return self.replace(states=states)

    def with_optimizer(self, optimizer: optax.GradientTransformation) -> "TrainState":
        """The same state with another optimiser, whose state starts afresh; `step` goes on."""
        fresh = TrainState(self.model, self.parameters, self.states, optimizer)
        return fresh.replace(step=self.step)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"`TrainState` is immutable: cannot set `{name}`. Use replace({name}=...)."
        )

    def __copy__(self) -> "TrainState":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "TrainState":
        self.require_alive()
        structure, leaves = self.flat
        # New arrays, which a donated step of the original does not delete.
        return TrainState.from_flat(structure, copy.deepcopy(leaves, memo))

    def __reduce__(self) -> tuple:
        return _from_trees, ((self.model, self.optimizer), self.trees)

    def __repr__(self) -> str:
        parameters, *_, step = self._built()
        count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(parameters))
        model = repr(self.model)
        if len(model) > _LONGEST_REPR:
            model = f"{layer_name(self.model)}(...)"
        # A debugger prints this too, so it does not raise.
        place = "given to a step with donate=True" if any_deleted(self._leaves) else f"step {step}"
        return f"TrainState({model}, {count:_} parameters, {place})"


def _as_array(leaf: Any) -> Any:
    """A JAX array of the leaf's dtype, without a weak type, which a loop could not carry."""
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return leaf if is_key else own_array(leaf, jnp.result_type(leaf))


def _flat(
    model: LayerLike, optimizer: optax.GradientTransformation, trees: PyTree
) -> tuple[Structure, list[Any]]:
    leaves, treedef = jax.tree.flatten(trees)
    return Structure(model, optimizer, treedef), leaves


_set_structure = TrainState.__dict__["_structure"].__set__
_set_leaves = TrainState.__dict__["_leaves"].__set__
_set_trees = TrainState.__dict__["_trees"].__set__


def _fill(
    tstate: TrainState, structure: Structure, leaves: list[jax.Array], trees: PyTree
) -> TrainState:
    _set_structure(tstate, structure)
    _set_leaves(tstate, leaves)
    _set_trees(tstate, trees)
    return tstate


def _from_trees(
    static: tuple[LayerLike, optax.GradientTransformation], trees: PyTree
) -> TrainState:
    return _fill(object.__new__(TrainState), *_flat(*static, trees), trees)


def _flatten(tstate: TrainState) -> tuple:
    return tstate.trees, (tstate.model, tstate.optimizer)


def _flatten_with_keys(tstate: TrainState) -> tuple:
    keys = map(jax.tree_util.GetAttrKey, _FIELDS)
    return tuple(zip(keys, tstate.trees, strict=True)), (tstate.model, tstate.optimizer)


jax.tree_util.register_pytree_with_keys(TrainState, _flatten_with_keys, _from_trees, _flatten)
