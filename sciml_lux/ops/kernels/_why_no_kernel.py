"""The operations that have kernels, and whether these can run for an array."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._availability import cuda_devices, why_unavailable

WITH_KERNELS = frozenset({"solve_ensemble"})
"""By name. Whoever adds a kernel to an operation adds it here."""


def why_no_kernel(x: jax.Array | np.ndarray, operation: str | None) -> str:
    """Why an operation of `x` is plain JAX; empty if a kernel can compute it.

    Args:
        x: an array; of a NumPy array or a traced one the default device counts.
        operation: its name, or None.
    """
    if operation not in WITH_KERNELS:
        return "It has no kernel." if operation is None else f"`{operation}` has no kernel."
    platforms = sorted({device.platform for device in _devices(x) - set(cuda_devices())})
    if platforms:
        return f"`{operation}` has a kernel for CUDA, and the array is on {', '.join(platforms)}."
    return why_unavailable()


def _devices(x: jax.Array | np.ndarray) -> set[Any]:
    if isinstance(x, jax.Array) and not isinstance(x, Tracer):
        return x.devices()
    with jax.ensure_compile_time_eval():
        return jnp.zeros((), jnp.int32).devices()
