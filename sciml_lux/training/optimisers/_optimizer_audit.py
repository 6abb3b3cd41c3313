"""An audit of an optimiser's program: does it compute in the digits of the parameters?"""

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
from ..compilation._user_stacklevel import user_stacklevel
from ._call_update import call_update, extra_arguments
from ._vanishing import vanishing_constants

_LOSING = ("narrowing", "low precision", "accumulation", "integer to float", "constant")


class OptimizerPrecisionWarning(UserWarning):
    """An optimiser computes in fewer digits than its parameters have.

    Example:
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ps, st = setup(jax.random.key(0), model, dtype=jnp.float16)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always", training.OptimizerPrecisionWarning)
        ...     ts = training.TrainState(model, ps, st, optax.adam(1e-3))
        >>> print(caught[0].message)
        `TrainState`: the optimiser has constants that are 0 in float16, the dtype of the
        parameters: 1e-08. ...
    """


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
    warnings.warn(
        f"`TrainState`: {message}", OptimizerPrecisionWarning, stacklevel=user_stacklevel()
    )


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
            f"the optimiser loses digits of its parameters: {_as_text(losing)}. Give learning "
            "rates as Python floats, and schedules as training.schedules.* or "
            "training.exact_schedule(schedule); accumulate gradients with training.multi_steps. "
            "Otherwise remove the cast on the line named. Where that is inside optax, the "
            "optimiser itself computes in fewer digits: set its dtype argument, such as mu_dtype, "
            "give it an exact schedule in place of its own, or use another."
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


def _as_text(losing: list[Finding]) -> str:
    """The findings as text, each after the line of the user's that it comes from, optax's last."""
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

    An update of narrower parameters in their own dtype, which is right, would otherwise hide what
    happens to wider ones.
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
    """`leaf` as `TrainState` has it, without a weak type."""
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
