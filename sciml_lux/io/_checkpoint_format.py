"""The file format of checkpoints; nothing in a file is trusted before it is checked.

A file is four parts: the line `sciml_lux checkpoint 1`, whose number is the format version; a line
with the length of the header and one with its SHA-256; the header; and the bytes of all leaves,
little-endian, one after the other. The header is JSON: `leaves`, the list of their path, dtype,
shape, kind, offset and size in the order of the bytes (a flag has its text in their place);
`metadata`, which is the user's; and `sha256`, of the bytes.
"""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import jax.numpy as jnp
import numpy as np

from ._checkpoint_error import CheckpointError
from ._quoted import quoted
from ._regular_file import open_regular, require_replaceable
from ._types import JSON, Blob

MAGIC = b"sciml_lux checkpoint 1\n"

DTYPES = {
    name: jnp.dtype(name)
    for name in (
        *("bool", "int4", "int8", "int16", "int32", "int64"),
        *("uint4", "uint8", "uint16", "uint32", "uint64"),
        *("float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz"),
        *("float8_e5m2", "float8_e5m2fnuz"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    )
}

# Dtypes that do not use all bits of their byte, and the largest byte that is a number.
MAX_BYTES = {"bool": 1, "int4": 15, "uint4": 15}

_FLAG = {"path": str, "flag": str, "offset": int, "size": int}
_ARRAY = {"path": str, "dtype": str, "shape": list, "kind": str, "offset": int, "size": int}
_HEADER = {"leaves": list, "metadata": dict, "sha256": str}
_MAX_RANK = 64  # NumPy's.


def require_checkpoint_file(path: Path) -> None:
    """Raise if writing a checkpoint to `path` would lose anything but one of this format.

    Raises:
        CheckpointError: something else is there.
    """
    require_replaceable(path, lambda file: file.read(len(MAGIC)) == MAGIC, "checkpoint")


def packed(
    entries: list[dict[str, JSON]], metadata: dict[str, JSON], blobs: list[Blob]
) -> list[Any]:
    """The parts of a file in order; `blobs` are the bytes of each leaf.

    Raises:
        TypeError: `metadata` is not a dict, or JSON cannot hold it.
    """
    if not isinstance(metadata, dict):
        raise TypeError(
            f"`save_checkpoint` expects metadata to be a dict, got {type(metadata).__name__}. The "
            "order is save_checkpoint(path, metadata, name=tree)."
        )
    digest, offset, leaves = hashlib.sha256(), 0, []
    for entry, blob in zip(entries, blobs, strict=True):
        digest.update(blob)
        leaves.append(entry | {"offset": offset, "size": len(blob)})
        offset += len(blob)
    header = {"leaves": leaves, "metadata": metadata, "sha256": digest.hexdigest()}
    try:
        head = json.dumps(header).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"`save_checkpoint` expects metadata that JSON can hold, got {error}. Pass a dict of "
            "strings, numbers, lists and dicts."
        ) from None
    return [
        MAGIC,
        b"%d\n%s\n" % (len(head), hashlib.sha256(head).hexdigest().encode()),
        head,
        *blobs,
    ]


def read_checked(path: Path) -> tuple[dict[str, Any], memoryview]:
    """Header and leaves' bytes of a file, after every check that needs no JAX.

    Raises:
        CheckpointError: names the file and what is wrong with it.
    """
    with open_regular(path) as file:
        start = file.read(len(MAGIC))
        if start != MAGIC:
            raise CheckpointError(
                f"{path} is not a checkpoint of this format: expected it to start with {MAGIC!r}, "
                f"got {start!r}."
            )
        header = _read_header(path, file)
        size = sum(entry["size"] for entry in header["leaves"])
        # A header that claims more or fewer bytes than there are is refused before they are read.
        if _bytes_left(file) != size:
            claim = quoted(str(size))
            raise damaged(path, f"expected {claim} bytes of leaves, got {_bytes_left(file)}")
        body = file.read()
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise damaged(path, "a checksum does not fit")
    return header, memoryview(body)


def damaged(path: Path, reason: str) -> CheckpointError:
    """The error for a file that is a checkpoint and cannot be trusted."""
    return CheckpointError(f"checkpoint {path} is damaged: {reason}. Use an earlier one.")


def require_numbers(path: Path, name: str, dtype: str, blob: Blob) -> None:
    """Raise if bytes of a leaf are not numbers of its dtype, as 2 is not a bool.

    Raises:
        CheckpointError: names the leaf.
    """
    most = int(np.frombuffer(blob, np.uint8).max(initial=0)) if dtype in MAX_BYTES else 0
    if most > MAX_BYTES.get(dtype, most):
        raise damaged(path, f"`{quoted(name)}` is {dtype} and has a byte {most}")


def _bytes_left(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size - file.tell()


def _read_header(path: Path, file: BinaryIO) -> dict[str, Any]:
    size, check = file.readline(24).removesuffix(b"\n"), file.read(65)
    if not (size.isdigit() and int(size) <= _bytes_left(file)):
        raise damaged(path, "the length of its header does not fit")
    head = file.read(int(size))
    if hashlib.sha256(head).hexdigest().encode() + b"\n" != check:
        raise damaged(path, "a checksum does not fit")
    try:
        header = json.loads(head)
    except (ValueError, RecursionError):
        raise damaged(path, "its header is not JSON") from None
    fault = _fault(header)
    if fault:
        raise damaged(path, fault)
    return header


def _fault(header: JSON) -> str | None:
    """What is wrong with a header, or None."""
    if _types(header) != _HEADER:
        return "its header is not of this format"
    offset, paths = 0, set()
    for entry in header["leaves"]:
        if not (_is_flag(entry) or _is_array(entry)):
            return f"an entry of its header is not a leaf: {quoted(str(entry), 200)}"
        name = quoted(entry["path"])
        if entry["path"] in paths:
            return f"its header has `{name}` twice"
        # The leaves lie end to end, so that no two of them can share a byte.
        if entry["offset"] != offset:
            said = quoted(str(entry["offset"]))
            return f"`{name}` should be at {offset}, is said to be at {said}"
        offset += entry["size"]
        paths.add(entry["path"])
    return None


def _types(entry: JSON) -> dict[str, type] | None:
    # Types are compared as they are: a bool would pass for an int.
    return {n: type(value) for n, value in entry.items()} if isinstance(entry, dict) else None


def _is_flag(entry: JSON) -> bool:
    return _types(entry) == _FLAG and entry["size"] == 0


def _is_array(entry: JSON) -> bool:
    if _types(entry) != _ARRAY or entry["dtype"] not in DTYPES:
        return False
    shape = entry["shape"]
    if len(shape) > _MAX_RANK or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        return False
    return math.prod(shape) * DTYPES[entry["dtype"]].itemsize == entry["size"]
