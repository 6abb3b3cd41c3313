"""A kernel as a call in a program for CUDA, or why not."""

import re
from collections.abc import Sequence

import jax
import numpy as np

from .._primitive import Value
from ._availability import architecture, tell_once
from ._kernel import Kernel, Source
from ._nvrtc import compiled
from ._ptx_call import ptx_call
from ._unavailable import Unavailable

_DTYPES = ("float32", "float64", "int32")
_MOST = np.iinfo(np.int32).max


def launched(
    kernel: Kernel,
    mapped: tuple[bool, ...],
    size: int,
    operands: Sequence[Value],
    types: Sequence[Value],
) -> list[jax.Array] | None:
    """The results of a kernel; None, and a warning of why, where it cannot be launched.

    Args:
        kernel: what to launch.
        mapped: of each operand, whether it has a batch axis.
        size: the number of members.
        operands: those of the whole batch.
        types: of the results.
    """
    # A symbol of `jax.export` for their number; and a grid without blocks is an error of CUDA.
    if not isinstance(size, int) or size == 0:
        return None
    source = kernel.source(mapped)
    try:
        _require_plain([*operands, *types])
        ptx = compiled(source.text, architecture())
        _require_entry(ptx, source, 1 + len(operands) + len(types))
    except Unavailable as reason:
        tell_once(
            f"The kernel `{source.entry}` is replaced by the same function in plain JAX: {reason}."
        )
        return None
    return ptx_call(ptx, source, size, operands, types)


def _require_plain(values: Sequence[Value]) -> None:
    for value in values:
        if value.dtype.name not in _DTYPES:
            raise Unavailable(f"kernels take {', '.join(_DTYPES)}, got {value.dtype}")
        if value.size > _MOST:
            raise Unavailable(f"kernels count entries in int32, got the shape {value.shape}")


def _require_entry(ptx: str, source: Source, count: int) -> None:
    """A name or number that XLA does not look at: the driver would fail, or the kernel read on."""
    found = re.search(rf"\.entry {re.escape(source.entry)}\(([^)]*)\)", ptx)
    if found is None:
        raise Unavailable('its text has no `extern "C" __global__` function of this name')
    if (parameters := found[1].count(".param")) != count:
        raise Unavailable(f"it takes {parameters} pointers, and its call has {count} arrays")
