"""operation_mode: what computes an operation, and why."""

from typing import Any, NamedTuple

import jax
import numpy as np

from ..kernels import why_no_kernel


class OperationMode(NamedTuple):
    """What computes an operation.

    Attributes:
        implementation: "xla", plain JAX that XLA compiles, or "kernel", device code of our own.
        level: 1 for plain JAX, 2 for a kernel.
        reason: why it is not a kernel; empty for one.
    """

    implementation: str
    level: int
    reason: str


def operation_mode(x: Any, operation: str | None = None) -> OperationMode:
    """What computes an operation of an array: plain JAX or a kernel, and why.

    Every operation is plain JAX, on every device and for every array. `"solve_ensemble"`, the solve
    of many trajectories by components, has a kernel as well, for CUDA: this tells whether it can be
    launched for `x`. Whether a solve asks for it its options say, and `stats.engine` which ran.

    Args:
        x: an array, under a transformation or not; of a traced array the default device counts.
        operation: the name of an operation; None for any of those without a kernel.

    Returns:
        The implementation, its level, and why it is no higher.

    Raises:
        TypeError: `x` is not an array.

    Source: `internal_operation_mode` of LuxLib 1.15, which has three, by the type of the array.

    Example:
        >>> import jax.numpy as jnp
        >>> operation_mode(jnp.zeros(2, jnp.float32), "softmax")
        OperationMode(implementation='xla', level=1, reason='`softmax` has no kernel.')
    """
    if not isinstance(x, jax.Array | np.ndarray):
        raise TypeError(f"`operation_mode` expects an array, got {type(x).__name__}.")
    reason = why_no_kernel(x, operation)
    return OperationMode("xla", 1, reason) if reason else OperationMode("kernel", 2, "")
