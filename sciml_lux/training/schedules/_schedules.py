"""Schedules in the digits of the training: optax evaluates them on an int32 count, in float32."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.extend.core.primitives import convert_element_type_p
from jaxtyping import PyTree

from ...precision import accumulated, tree_dtype
from ...precision.internal import x64_enabled

Schedule = Callable[[Any], Any]


def exact_schedule(schedule: Schedule) -> Schedule:
    """`schedule` evaluated on a float64 count (float32 where x64 is off).

    With x64 on, optax divides its int32 step count in float32, which leaves a learning rate with
    seven digits in a float64 training, in some schedules under a float64 dtype. On a float count
    the same formulas are exact.

    Args:
        schedule: any function of the step count, optax's or one's own. One that cannot do with a
            float, since it indexes by the count or loops over it, gets it as an int32.

    Returns:
        A function of the step count that returns a float64 scalar (float32 where x64 is off),
        weakly typed: as a Python number it takes the dtype of narrower parameters.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> rate = exact_schedule(optax.exponential_decay(0.1, 10, 0.9))
        >>> abs(float(rate(jnp.asarray(17, jnp.int32))) / (0.1 * 0.9**1.7) - 1) < 1e-6
        True
    """

    @functools.wraps(schedule)
    def exact(count: jax.Array) -> jax.Array:
        dtype = jnp.dtype(jnp.float64 if x64_enabled() else jnp.float32)
        with jax.numpy_dtype_promotion("standard"):
            try:
                value = schedule(jnp.asarray(count, dtype))
            except TypeError:  # JAX's, for an index or a branch that is no integer.
                value = schedule(jnp.asarray(count, jnp.int32))
            value = jnp.asarray(value, dtype)
        # `astype` cannot ask for a weak type.
        return convert_element_type_p.bind(value, new_dtype=dtype, weak_type=True, sharding=None)

    return exact


@functools.wraps(optax.schedules.polynomial_schedule)
def _polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """optax's; but there, compiled, 1 - n/n may be below 0, which a fractional power makes NaN."""
    if transition_steps <= 0:
        return optax.schedules.constant_schedule(init_value)

    def schedule(count: jax.Array) -> Any:
        done = (count - max(transition_begin, 0)) / transition_steps
        return (init_value - end_value) * jnp.clip(1 - done, 0, 1) ** power + end_value

    return schedule


def _exact(make: Callable[..., Schedule]) -> Callable[..., Schedule]:
    """A schedule of optax by its own name and arguments, exact."""

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Schedule:
        return exact_schedule(make(*args, **kwargs))

    return made


constant_schedule = _exact(optax.schedules.constant_schedule)
cosine_decay_schedule = _exact(optax.schedules.cosine_decay_schedule)
cosine_onecycle_schedule = _exact(optax.schedules.cosine_onecycle_schedule)
exponential_decay = _exact(optax.schedules.exponential_decay)
join_schedules = _exact(optax.schedules.join_schedules)
linear_onecycle_schedule = _exact(optax.schedules.linear_onecycle_schedule)
linear_schedule = _exact(optax.schedules.linear_schedule)
piecewise_constant_schedule = _exact(optax.schedules.piecewise_constant_schedule)
piecewise_interpolate_schedule = _exact(optax.schedules.piecewise_interpolate_schedule)
polynomial_schedule = _exact(_polynomial_schedule)
sgdr_schedule = _exact(optax.schedules.sgdr_schedule)
warmup_constant_schedule = _exact(optax.schedules.warmup_constant_schedule)
warmup_cosine_decay_schedule = _exact(optax.schedules.warmup_cosine_decay_schedule)
warmup_exponential_decay_schedule = _exact(optax.schedules.warmup_exponential_decay_schedule)


def multi_steps(
    optimizer: optax.GradientTransformation, every_k: int | Schedule, **options: Any
) -> optax.GradientTransformationExtraArgs:
    """`optax.MultiSteps` that accumulates in the dtype of the parameters, or of their sums.

    That is float32 for float16 and bfloat16. optax's own accumulates in float32 unless told, also
    for float64 parameters.

    Args:
        optimizer: applied once for every `every_k` gradients, which it gets in their own dtype.
        every_k: a number, or a function of the step count.
        **options: the further ones of `optax.MultiSteps`.
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
