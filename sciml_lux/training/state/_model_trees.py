"""Checks that trees are those of a model and its optimiser."""

from typing import Any

import jax
import optax
from jaxtyping import PyTree

from ...core import (
    LayerLike,
    Parameters,
    Record,
    States,
    StateStructureError,
    Static,
    layer_name,
    parameter_structure,
    state_structure,
)
from ...core.internal import first_difference, without_component_arrays


def check_trees(subject: str, model: LayerLike, parameters: Parameters, states: States) -> None:
    """Raise unless `parameters` and `states` have the structure and shapes of the model's own.

    Raises:
        StateStructureError: they differ; names the first path.
    """
    check_parameters(subject, model, parameters)
    _check(subject, "states", model, _without_flags(state_structure(model)), _without_flags(states))


def check_parameters(subject: str, model: LayerLike, parameters: Parameters) -> None:
    """`check_trees` of the parameters alone."""
    plain = without_component_arrays(parameters)
    _check(subject, "parameters", model, parameter_structure(model), plain)


def check_optimizer_state(
    subject: str, optimizer: optax.GradientTransformation, parameters: Parameters, state: PyTree
) -> None:
    """Raise unless `optimizer` can continue from `state` for `parameters`.

    Raises:
        StateStructureError: it is not; names the first path.
    """
    difference = first_difference(jax.eval_shape(optimizer.init, parameters), state)
    if difference:
        raise StateStructureError(
            f"{subject}: the optimiser's state is not that of these parameters, {difference}. "
            "Start afresh: TrainState(model, parameters, states, optimizer)."
        )


def _check(subject: str, kind: str, model: LayerLike, expected: PyTree, tree: PyTree) -> None:
    if not (isinstance(expected, Record) and isinstance(tree, Record)):
        return  # A tree of the user's own type is judged by the layers that read it.
    difference = first_difference(expected, tree, _shape)
    if difference:
        raise StateStructureError(
            f"{subject}: the {kind} are not those of `{layer_name(model)}`, {difference}. "
            "Pass the trees that setup(key, model) made for this model."
        )


def _shape(leaf: Any) -> str:
    return f"shape {leaf.shape}" if hasattr(leaf, "shape") else repr(leaf)


def _without_flags(states: States) -> Any:
    """`states` with all flags alike, since a model in test mode is the same model."""
    return jax.tree.map(
        lambda leaf: "a flag" if isinstance(leaf, Static) else leaf,
        states,
        is_leaf=lambda node: isinstance(node, Static),
    )
