"""A look at an optimiser's program: does it keep the digits of the parameters?"""

import functools
import warnings
from typing import Any

import jax
import optax

from ..precision import EltypeMismatchError, audit, match_eltype_mode, tree_dtype

_LOSING = ("narrowing", "low precision", "integer to float", "constant")


class OptimizerPrecisionWarning(UserWarning):
    """An optimiser computes in fewer digits than its parameters have."""


def check_optimizer(
    optimizer: optax.GradientTransformation, parameters: Any, optimizer_state: Any
) -> None:
    """Warn, or raise in mode "error", if `optimizer` loses digits of the parameters' dtype.

    Raises:
        EltypeMismatchError: it does, and `match_eltype` is "error".
    """
    leaves, treedef = jax.tree.flatten((parameters, optimizer_state))
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    text = _findings(optimizer, treedef, shapes)
    if not text:
        return
    message = (
        f"the optimiser loses digits of its parameters: {text}. Give learning rates as Python "
        "floats, and schedules as training.schedules.* or training.exact_schedule(schedule); "
        "accumulate gradients with training.multi_steps."
    )
    if match_eltype_mode() == "error":
        raise EltypeMismatchError(f"`TrainState`: {message}")
    warnings.warn(f"`TrainState`: {message}", OptimizerPrecisionWarning, stacklevel=3)


@functools.lru_cache(maxsize=256)
def _findings(optimizer: Any, treedef: Any, shapes: tuple) -> str:
    """What the audit found, in words; an optimiser that cannot be traced alone is let pass."""
    leaves = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    parameters, state = jax.tree.unflatten(treedef, leaves)
    want = tree_dtype(parameters)
    if want is None or len({leaf.dtype for leaf in jax.tree.leaves(parameters)}) > 1:
        return ""  # Narrower ones among wider are updated in their own dtype, as they should be.
    with jax.numpy_dtype_promotion("standard"):
        try:
            report = audit(optimizer.update, parameters, state, parameters, want=want)
        except TypeError:
            return ""  # It wants more arguments, as a line search does.
    losing = [finding for finding in report.findings if finding.kind in _LOSING]
    return "; ".join(dict.fromkeys(f"{f.kind} ({f.detail})" for f in losing))
