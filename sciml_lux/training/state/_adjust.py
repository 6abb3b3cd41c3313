"""adjust: other hyper-parameters of an optimiser during training."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ...precision.internal import own_array
from ._train_state import TrainState


def adjust(tstate: TrainState, **hyperparameters: float) -> TrainState:
    """`tstate` with other hyper-parameters of its optimiser, such as `learning_rate`.

    Nothing is compiled again: they are arrays in the optimiser's state, where
    `optax.inject_hyperparams` puts them.

    Args:
        tstate: the state of training.
        **hyperparameters: new values by name.

    Raises:
        KeyError: the optimiser has no such hyper-parameter, or it follows a schedule.
        ValueError: the optimiser was made with an integer, which cannot become this number.
        TypeError: a NumPy or JAX number is of a narrower dtype than what it replaces.

    Source: `Optimisers.adjust` with a `TrainState` of Lux 1.31.

    Example:
        >>> import jax, optax
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Dense(2, 1)
        >>> optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=1e-2)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optimizer)
        >>> ts = training.adjust(ts, learning_rate=1e-3)
        >>> round(ts.optimizer_state.hyperparams["learning_rate"].item(), 6)
        0.001
    """
    nodes = list(_injected(tstate.optimizer_state))
    scheduled = {name for node in nodes for name in getattr(node, "hyperparams_states", ())}
    known = {name: old for node in nodes for name, old in node.hyperparams.items()}
    for name, value in hyperparameters.items():
        if name in scheduled:
            raise KeyError(
                f"`adjust` cannot set `{name}`, which follows a schedule: the next step would "
                "overwrite it. Make the optimiser with a number in place of the schedule."
            )
        if name not in known:
            free = sorted(set(known) - scheduled)
            raise KeyError(
                f"`adjust` finds no hyper-parameter `{name}` in the optimiser's state; it has "
                f"{', '.join(free) or 'none'}. Make the optimiser with "
                f"optax.inject_hyperparams(optax.adam)({name}=...)."
            )
        _check_value(name, value, known[name])

    def adjusted(node: PyTree) -> Any:
        if not _is_injected(node):
            return node
        inner = jax.tree.map(adjusted, node.inner_state, is_leaf=_is_injected)
        new = {
            name: own_array(hyperparameters.get(name, old), old.dtype)
            for name, old in node.hyperparams.items()
        }
        return node._replace(hyperparams=new, inner_state=inner)

    state = jax.tree.map(adjusted, tstate.optimizer_state, is_leaf=_is_injected)
    return tstate.replace(optimizer_state=state)


def _check_value(name: str, value: ArrayLike, old: jax.Array) -> None:
    if not jnp.issubdtype(old.dtype, jnp.inexact) and value != int(value):  # pyright: ignore[reportArgumentType]
        raise ValueError(
            f"`adjust` cannot set `{name}` to {value}: the optimiser was made with an integer. "
            f"Make it with {name}={float(old.item())}."
        )
    if _has_fewer_bits(value, old):
        raise TypeError(
            f"`adjust` expects `{name}` in {old.dtype} or wider, got {value} in "
            f"{jnp.result_type(value)}, which has lost digits already. Pass a Python float."
        )


def _has_fewer_bits(value: Any, old: PyTree) -> bool:
    dtypes = getattr(value, "dtype", None), old.dtype
    if not all(dtype is not None and jnp.issubdtype(dtype, jnp.inexact) for dtype in dtypes):
        return False
    new, replaced = map(jnp.finfo, dtypes)
    return new.bits < replaced.bits


def _is_injected(node: PyTree) -> bool:
    return hasattr(node, "hyperparams") and hasattr(node, "inner_state")


def _injected(state: PyTree) -> Iterator[Any]:
    for node in jax.tree.leaves(state, is_leaf=_is_injected):
        if _is_injected(node):
            yield node
            yield from _injected(node.inner_state)
