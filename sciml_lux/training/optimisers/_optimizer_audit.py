"""A look at an optimiser's program: does it keep the digits of the parameters?"""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from ...core import Parameters
from ...precision import EltypeMismatchError, Finding, audit, match_eltype_mode, tree_dtype
from ..compilation._remembered import remembered
from ._call_update import call_update, extra_arguments
from ._vanishing import vanishing_constants

_LOSING = ("narrowing", "low precision", "accumulation", "integer to float", "constant")


class OptimizerPrecisionWarning(UserWarning):
    """An optimiser computes in fewer digits than its parameters have."""


def check_optimizer(optimizer: optax.GradientTransformation, parameters: Parameters) -> None:
    """Warn, or raise in mode "error", if `optimizer` loses digits of the parameters' dtype.

    Raises:
        EltypeMismatchError: it does, or cannot be read, and `match_eltype` is "error".
    """
    leaves, treedef = jax.tree.flatten(parameters)
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    message = _message(optimizer, treedef, shapes)
    if not message:
        return
    if match_eltype_mode() == "error":
        raise EltypeMismatchError(f"`TrainState`: {message}")
    warnings.warn(f"`TrainState`: {message}", OptimizerPrecisionWarning, stacklevel=3)


@remembered
def _message(optimizer: optax.GradientTransformation, treedef: Any, shapes: tuple) -> str:
    """What is wrong with `optimizer` and what to do; empty if nothing is."""
    parameters = jax.tree.unflatten(treedef, [jax.ShapeDtypeStruct(*shape) for shape in shapes])
    want = tree_dtype(parameters)
    if want is None:
        return ""
    want = jnp.finfo(want).dtype
    try:
        with jax.numpy_dtype_promotion("standard"):
            losing = _losing(optimizer, parameters, want)
            vanished = vanishing_constants(functools.partial(_step, optimizer, parameters), want)
    except Exception as error:  # The optimiser's own, of any kind.
        reason = str(error).partition("\n")[0].rstrip(".")
        return (
            "the optimiser's update cannot be traced, so it is not known whether it loses digits: "
            f"{reason}. Beyond the gradient a training step gives it `value`, "
            "`grad` and `value_fn`; take an optimiser that needs no more."
        )
    if losing:
        return (
            f"the optimiser loses digits of its parameters: {_told(losing)}. Give learning rates "
            "as Python floats, and schedules as training.schedules.* or "
            "training.exact_schedule(schedule); accumulate gradients with training.multi_steps. "
            "Where that is done, take away the cast in the line named; inside optax it is the "
            "optimiser itself that computes in fewer digits: give it its own argument for the "
            "dtype, such as mu_dtype, or a schedule in place of its own, or take another."
        )
    if vanished:
        smallest = float(jnp.finfo(want).smallest_subnormal)
        return (
            f"the optimiser has constants that are 0 in {want}, the dtype of the parameters: "
            f"{', '.join(f'{value:g}' for value in vanished)}. Dividing by such an `eps` makes NaN "
            f"where a gradient is 0. Give it as at least {smallest:.0e}, for example eps=1e-4, or "
            "train parameters of float32 or bfloat16."
        )
    return ""


def _losing(
    optimizer: optax.GradientTransformation, parameters: Parameters, want: np.dtype
) -> list[Finding]:
    """The findings by which digits of the parameters are lost."""
    update, args = _step(optimizer, parameters, want)
    return [f for f in audit(update, *args, want=want).findings if f.kind in _LOSING]


def _told(losing: list[Finding]) -> str:
    """The findings in words, each after the user's line that it comes from, those of optax last."""
    places = sorted({finding.line for finding in losing}, key=lambda line: (line == "?", line))
    return "; ".join(
        ("inside optax " if line == "?" else f"at {line} ")
        + ", ".join(dict.fromkeys(f"{f.kind} ({f.detail})" for f in losing if f.line == line))
        for line in places
    )


def _step(
    optimizer: optax.GradientTransformation, parameters: Parameters, want: np.dtype
) -> tuple[Any, tuple]:
    """A step's call and its arguments, as if all parameters were of the widest of their dtypes.

    As they are, an update of the narrower ones in their own dtype, which is right, would hide what
    happens to the wider ones.
    """

    def widened(leaf: jax.Array) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, jnp.promote_types(leaf.dtype, want))

    def loss(parameters: Parameters) -> jax.Array:
        return sum(jnp.sum(jnp.real(leaf)) for leaf in jax.tree.leaves(parameters))  # pyright: ignore[reportReturnType]

    def update(value: jax.Array, grads: PyTree, state: PyTree, parameters: Parameters) -> Any:
        extra = extra_arguments(value, grads, loss)
        return call_update(optimizer, grads, state, parameters, extra)

    parameters = jax.tree.map(widened, parameters)
    state = jax.tree.map(_strong, jax.eval_shape(optimizer.init, parameters))
    return update, (jax.ShapeDtypeStruct((), want), parameters, state, parameters)


def _strong(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """`leaf` as `TrainState` keeps it, not weakly typed."""
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
