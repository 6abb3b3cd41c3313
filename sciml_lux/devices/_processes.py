"""What the processes of one training agree on; with one process, each argument is the answer."""

import jax
import numpy as np
from jax.experimental import multihost_utils


def is_first_process() -> bool:
    """Whether this is the process that writes files and prints."""
    return jax.process_index() == 0


def of_first_process(value: int) -> int:
    """The integer of the first process; every process must call this."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def bytes_of_first_process(data: bytes) -> bytes:
    """The bytes of the first process; every process must call this, with as many bytes."""
    if jax.process_count() == 1 or not data:
        return data
    # As bytes, since a sum with zeros, which a broadcast is, would lose the sign of -0.0.
    return np.asarray(
        multihost_utils.broadcast_one_to_all(np.frombuffer(data, np.uint8)), np.uint8
    ).tobytes()


def texts_of_processes(text: str) -> list[str]:
    """The text of every process, in order; every process must call this."""
    if jax.process_count() == 1:
        return [text]
    data = np.frombuffer(text.encode(), np.uint8)
    sizes = counts_of_processes(data.size)
    padded = np.zeros(max(sizes), np.uint8)
    padded[: data.size] = data
    rows = np.asarray(multihost_utils.process_allgather(padded), np.uint8)
    return [row[:size].tobytes().decode() for row, size in zip(rows, sizes, strict=True)]


def counts_of_processes(value: int) -> list[int]:
    """The integer of every process, in order; every process must call this."""
    if jax.process_count() == 1:
        return [value]
    return np.asarray(multihost_utils.process_allgather(np.int32(value))).tolist()


def wait_for_processes(reason: str) -> None:
    """Wait until every process has called this with the same reason."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(reason)
