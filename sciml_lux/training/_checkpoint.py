"""Checkpoints: one file, a JSON header and raw leaves, checked on load. Nothing is pickled."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Static, describe, first_difference, named_leaves
from ..precision import require_x64

_MAGIC = b"sciml_lux checkpoint 1\n"
_KEY = "key:"


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or does not fit what it is loaded into."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        leaves: arrays and flags by path, such as `train_state.parameters.layer_1.weight`.
        metadata: what was stored beside them.
        path: of the file.
    """

    leaves: dict[str, Any]
    metadata: dict[str, Any]
    path: Path

    def restore(self, like: Any, name: str) -> Any:
        """The tree stored under `name`, with the structure of `like`.

        Raises:
            CheckpointError: it differs from `like` in structure, shape or dtype; names the first
                path. Nothing is cast.
        """
        prefix = f"{name}."
        stored = {
            path.removeprefix(prefix).removeprefix(name if path == name else ""): leaf
            for path, leaf in self.leaves.items()
            if path == name or path.startswith(prefix)
        }
        wanted = named_leaves(like)
        # Flags are stored in words, so it is words that are compared.
        words = [{path: describe(leaf) for path, leaf in t.items()} for t in (wanted, stored)]
        difference = first_difference(*words, describe=str)
        if difference:
            raise CheckpointError(
                f"checkpoint {self.path}: `{name}` does not fit, {difference}. Build the model and "
                "optimiser as they were when it was saved; nothing is cast."
            )
        arrays = [stored[path] for path, leaf in wanted.items() if not _is_flag(leaf)]
        return jax.tree.unflatten(jax.tree.structure(like), arrays)


@dataclasses.dataclass(frozen=True)
class Flag:
    """A `Static` flag or None as it was stored, in words: it is compared and never made again."""

    text: str

    def __repr__(self) -> str:
        return self.text


def checkpoint_file(path: str | os.PathLike) -> Path:
    """`path` if it ends in `.ckpt` or is a file, else the checkpoint in the folder `path`."""
    given = Path(path).expanduser()
    return given if given.suffix == ".ckpt" or given.is_file() else given / "checkpoint.ckpt"


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as a checkpoint of this format does."""
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def save_checkpoint(path: str | os.PathLike, metadata: dict[str, Any], /, **trees: Any) -> None:
    """Write `trees` and `metadata` to one file, whole or not at all.

    The file is written under another name, synced and renamed, so that a crash leaves the old one.

    Args:
        path: a file that ends in `.ckpt`, or a folder for `checkpoint.ckpt`; folders are made.
        metadata: anything JSON can hold.
        **trees: trees of arrays, each under its name.

    Raises:
        TypeError: a leaf is no array.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> file = tempfile.mkdtemp() + "/weights.ckpt"
        >>> save_checkpoint(file, {"note": "x"}, ps={"w": jnp.ones(2, jnp.float32)})
        >>> checkpoint = load_checkpoint(file)
        >>> checkpoint.restore({"w": jnp.zeros(2, jnp.float32)}, "ps")["w"].tolist()
        [1.0, 1.0]
    """
    entries, blobs, offset = [], [], 0
    for name, leaf in named_leaves(trees).items():
        entry, blob = _encode(name, leaf)
        entries.append(entry | {"offset": offset, "size": len(blob)})
        blobs.append(blob)
        offset += len(blob)
    body = b"".join(blobs)
    header = {
        "leaves": entries,
        "metadata": metadata,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    head = json.dumps(header).encode()
    check = hashlib.sha256(head).hexdigest().encode()
    _write_whole(
        checkpoint_file(path), b"".join([_MAGIC, b"%d\n" % len(head), check, b"\n", head, body])
    )


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read and check a file written by `save_checkpoint`.

    Raises:
        CheckpointError: no checkpoint, another format version, or damaged.
        TypeError: it holds float64 while x64 is off.
    """
    path = checkpoint_file(path)
    header, body = _read_checked(path)
    leaves = {}
    for entry in header["leaves"]:
        start = entry["offset"]
        leaves[entry["path"]] = _decode(path, entry, body[start : start + entry["size"]])
    return Checkpoint(leaves, header["metadata"], path)


def _read_checked(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise CheckpointError(
            f"{path} is no checkpoint of this format: expected it to start with {_MAGIC!r}, got "
            f"{data[:24]!r}."
        )
    damaged = CheckpointError(
        f"checkpoint {path} is damaged: a checksum does not fit. Use an earlier one."
    )
    try:
        size, check, rest = data[len(_MAGIC) :].split(b"\n", 2)
        head, body = rest[: int(size)], rest[int(size) :]
    except ValueError:
        raise damaged from None
    if hashlib.sha256(head).hexdigest().encode() != check:
        raise damaged
    header = json.loads(head)
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise damaged
    return header, body


def _is_flag(leaf: Any) -> bool:
    return leaf is None or isinstance(leaf, Static)


def _encode(name: str, leaf: Any) -> tuple[dict[str, Any], bytes]:
    if _is_flag(leaf):
        return {"path": name, "flag": repr(leaf)}, b""
    if not hasattr(leaf, "dtype"):
        raise TypeError(f"`save_checkpoint` expects arrays, got {describe(leaf)} at `{name}`.")
    kind = ""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, leaf = f"{_KEY}{jax.random.key_impl(leaf)}", jax.random.key_data(leaf)
    array = np.asarray(leaf)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    entry = {"path": name, "dtype": array.dtype.name, "shape": list(np.shape(leaf)), "kind": kind}
    return entry, array.tobytes()


def _decode(path: Path, entry: dict[str, Any], blob: bytes) -> Any:
    if "flag" in entry:
        return Flag(entry["flag"])
    dtype = jnp.dtype(entry["dtype"])
    require_x64(dtype, f"checkpoint {path}: `{entry['path']}`")
    array = np.frombuffer(blob, dtype).reshape(entry["shape"])
    if entry["kind"].startswith(_KEY):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=entry["kind"].removeprefix(_KEY))
    return jnp.asarray(array)


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # The rename itself must survive a power cut.
    finally:
        os.close(folder)
