"""multi_steps: gradients accumulated in the dtype of the parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from ...precision import accumulated, tree_dtype
from ._exact_schedule import Schedule


def multi_steps(
    optimizer: optax.GradientTransformation, every_k: int | Schedule, **options: Any
) -> optax.GradientTransformationExtraArgs:
    """`optax.MultiSteps` that accumulates in the dtype of the parameters, at least in float32.

    optax's own accumulates in float32 by default, also for float64 parameters.

    Args:
        optimizer: applied once for every `every_k` gradients, which it gets in their own dtype.
        every_k: a number, or a function of the step count.
        **options: the other options of `optax.MultiSteps`.

    Example:
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> optimizer = training.multi_steps(optax.sgd(0.25), 2)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optimizer)
        >>> for gradient in (1.0, 3.0):
        ...     grads = jax.tree.map(lambda p: jnp.full_like(p, gradient), ts.parameters)
        ...     ts = training.apply_gradients(ts, grads)
        ...     print(ts.parameters.weight.item())
        1.0
        0.5
    """
    optimizer = optax.with_extra_args_support(optimizer)

    def wide(tree: PyTree) -> Any:
        return jax.tree.map(accumulated, tree)

    def accumulating(like: PyTree) -> optax.GradientTransformation:
        def update(updates: PyTree, *rest: PyTree, **extra: PyTree) -> Any:
            narrow = jax.tree.map(lambda update, own: update.astype(own.dtype), updates, like)
            return optimizer.update(narrow, *rest, **extra)

        inner = optax.GradientTransformationExtraArgs(optimizer.init, update)
        dtype = tree_dtype(wide(like)) or jnp.float32
        wrapped = optax.MultiSteps(inner, every_k, accumulator_dtype=dtype, **options)
        return wrapped.gradient_transformation()

    return optax.GradientTransformationExtraArgs(
        lambda params: accumulating(params).init(params),
        lambda updates, state, params=None, **extra: accumulating(updates).update(
            wide(updates), state, params, **extra
        ),
    )
