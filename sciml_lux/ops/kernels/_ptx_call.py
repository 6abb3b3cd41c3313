"""The call of a kernel in a program: XLA's target for PTX."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .._primitive import Value
from ._kernel import Source

TARGET = "__gpu$xla.gpu.ptx"


def ptx_call(
    ptx: str, source: Source, size: int, operands: Sequence[Value], types: Sequence[Value]
) -> list[jax.Array]:
    """The results of a kernel.

    XLA passes pointers alone: to the size, to each operand and to each result, all row-major.
    Results are not zeroed before.

    Args:
        ptx: what `source` is compiled to.
        source: the kernel.
        size: the number of members, above 0.
        operands: of the kernel.
        types: of its results.
    """
    results = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types]
    call = jax.ffi.ffi_call(TARGET, results)
    return list(call(np.asarray(size, np.int32), *operands, **_attributes(ptx, source, size)))


def _attributes(ptx: str, source: Source, size: int) -> dict[str, Any]:
    """XLA wants each of these, the numbers as int32."""
    numbers = {
        "grid_x": -(-size // source.block),
        "grid_y": 1,
        "grid_z": 1,
        "block_x": source.block,
        "block_y": 1,
        "block_z": 1,
        "shared_mem_bytes": source.shared_bytes,
    }
    text = {"name": source.entry, "kernel_type": "ptx", "kernel_data": ptx}
    return text | {name: np.int32(number) for name, number in numbers.items()}
