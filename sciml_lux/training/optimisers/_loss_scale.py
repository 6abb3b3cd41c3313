"""Loss scaling: gradients through half precision that neither vanish nor overflow."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from ...core import Parameters, States
from ...core.internal import describe, named_leaves
from ...precision import tree_dtype
from ...precision.internal import python_numbers
from ._call_update import call_update
from ._is_optax import check_optax


class LossScaleState(NamedTuple):
    """The state of an optimiser made by `with_loss_scale`.

    Attributes:
        inner_state: of the optimiser inside.
        scale: what the loss is multiplied by at the next step.
        num_good: the steps since the scale was last changed.
        num_skipped: the steps that were skipped, since a gradient was not finite.
    """

    inner_state: Any
    scale: jax.Array
    num_good: jax.Array
    num_skipped: jax.Array


def with_loss_scale(
    optimizer: optax.GradientTransformation,
    initial_scale: float = 2.0**16,
    *,
    growth_interval: int = 2000,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
) -> optax.GradientTransformationExtraArgs:
    """`optimizer`, for which training steps scale the loss so that float16 can hold its gradient.

    The loss is multiplied by the scale before it is differentiated, and the gradient divided by it;
    the loss and gradient that come back are the true ones. Where a gradient is not finite, the step
    is skipped: parameters, states and the optimiser inside stay, and the scale shrinks by
    `backoff_factor`, down to 1. After `growth_interval` good steps in a row it grows by
    `growth_factor`. `fit` accepts skipped steps while the scale is above 1: `step` counts them, the
    history has their losses, and their number is `tstate.optimizer_state.num_skipped`.

    Parameters are float32 or wider, as master weights: nothing of an update is lost. The model is
    computed in half precision by `nn.AlternatePrecision("float16", model)`.

    Args:
        optimizer: an optax optimiser; the whole one, not a part of a chain.
        initial_scale: at the first step, at least 1.
        growth_interval: the good steps before the scale grows.
        growth_factor: above 1.
        backoff_factor: between 0 and 1.

    Raises:
        TypeError: `optimizer` is not an optax optimiser; from `TrainState`, parameters in half
            precision.
        ValueError: a number is out of its range.

    Source: `torch.amp.GradScaler`, whose rules and numbers these are; `jmp.DynamicLossScale`, whose
        least scale is 1. arXiv 1710.03740.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.AlternatePrecision("float16", nn.Dense(1, 1))
        >>> optimizer = training.with_loss_scale(optax.sgd(0.1))
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optimizer)
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> result = training.fit(ts, losses.MSELoss(), (x, 2 * x), steps=300, progress=False)
        >>> bool(result.losses[-1] < 1e-3), int(result.tstate.optimizer_state.num_skipped)
        (True, 3)
    """
    first, grown, shrunk = python_numbers((initial_scale, growth_factor, backoff_factor))
    _check_options(optimizer, first, grown, shrunk, growth_interval)

    def init(params: Parameters) -> LossScaleState:
        _require_master_weights(params)
        dtype = jnp.finfo(tree_dtype(params) or jnp.float32).dtype
        return LossScaleState(
            _strong(optimizer.init(params)),
            jnp.asarray(first, dtype),
            *(jnp.zeros((), jnp.int32) for _ in range(2)),
        )

    def update(
        updates: PyTree, state: PyTree, params: Parameters = None, **extra: PyTree
    ) -> tuple[Any, LossScaleState]:
        def taken() -> tuple[Any, Any]:
            return _strong(call_update(optimizer, updates, state.inner_state, params, extra))

        def skipped() -> tuple[Any, Any]:
            return jax.tree.map(lambda u: jnp.zeros(u.shape, u.dtype), found), state.inner_state

        found = jax.eval_shape(taken)[0]
        good = all_finite(updates)
        new_updates, inner = jax.lax.cond(good, taken, skipped)
        num_good = jnp.where(good, state.num_good + 1, 0)
        grows = num_good >= growth_interval
        larger = state.scale * grown
        larger = jnp.where(grows & jnp.isfinite(larger), larger, state.scale)
        scale = jnp.where(good, larger, jnp.maximum(state.scale * shrunk, 1.0))
        num_skipped = state.num_skipped + (~good).astype(jnp.int32)
        return new_updates, LossScaleState(inner, scale, jnp.where(grows, 0, num_good), num_skipped)

    return optax.GradientTransformationExtraArgs(init, update)


def loss_scale_of(optimizer_state: PyTree) -> jax.Array | None:
    """What the loss is to be multiplied by, or None."""
    nodes = jax.tree.leaves(optimizer_state, is_leaf=_is_scaled)
    return next((node.scale for node in nodes if _is_scaled(node)), None)


def scaled(loss: jax.Array, scale: jax.Array | None) -> jax.Array:
    """The loss that is differentiated."""
    return loss if scale is None else loss * scale.astype(loss.dtype)


def unscaled(gradients: PyTree, scale: jax.Array | None) -> Any:
    """The gradients of the loss from those of the scaled one."""
    if scale is None:
        return gradients
    return jax.tree.map(lambda g: g / scale.astype(g.dtype), gradients)


def states_after(states: States, old: PyTree, gradients: PyTree, scale: jax.Array | None) -> Any:
    """The new states, or the old ones where the step is to be skipped."""
    if scale is None:
        return states
    good = all_finite(gradients)
    return jax.tree.map(lambda new, old: jnp.where(good, new, old), states, old)


def will_skip(optimizer_state: PyTree, gradients: PyTree) -> jax.Array | bool:
    """Whether the optimiser skips these gradients; not where the scale cannot shrink any more."""
    scale = loss_scale_of(optimizer_state)
    return False if scale is None else (scale > 1) & ~all_finite(gradients)


def all_finite(tree: PyTree) -> jax.Array:
    """Whether every number of the tree is finite."""
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(finite)) if finite else jnp.ones((), bool)


def _is_scaled(node: PyTree) -> bool:
    return isinstance(node, LossScaleState)


def _strong(tree: PyTree) -> Any:
    """The tree without weak types, in which the branches of a condition may not differ."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), tree)


def _require_master_weights(parameters: Parameters) -> None:
    for path, leaf in named_leaves(parameters).items():
        if hasattr(leaf, "dtype") and jnp.finfo(leaf.dtype).bits < 32:
            raise TypeError(
                f"`with_loss_scale` expects parameters in float32 or wider, got {describe(leaf)} "
                f"at `{path}`. Keep them in float32 and compute the model in half precision: "
                'nn.AlternatePrecision("float16", model).'
            )


def _check_options(
    optimizer: optax.GradientTransformation,
    first: float,
    grown: float,
    shrunk: float,
    interval: int,
) -> None:
    check_optax("with_loss_scale", optimizer)
    options = (
        ("initial_scale", first, "of 1 or more", lambda n: 1 <= n < float("inf")),
        ("growth_factor", grown, "above 1", lambda n: 1 < n < float("inf")),
        ("backoff_factor", shrunk, "between 0 and 1", lambda n: 0 < n < 1),
    )
    for name, value, words, fits in options:
        if not (isinstance(value, int | float) and fits(value)):
            raise ValueError(
                f"`with_loss_scale` expects `{name}` to be a number {words}, got {value!r}."
            )
    is_integer = isinstance(interval, int | np.integer) and not isinstance(interval, bool)
    if not is_integer or interval < 1:
        raise ValueError(
            "`with_loss_scale` expects `growth_interval` to be an integer of 1 or more, got "
            f"{interval!r}."
        )
