"""Checkpoints: one file of a JSON header and raw leaves, checked on load; nothing is pickled."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..core import Static
from ..core.internal import (
    describe,
    first_difference,
    named_leaves,
    with_component_arrays,
    without_component_arrays,
)
from ._checkpoint_error import CheckpointError
from ._checkpoint_format import (
    DTYPES,
    MAX_BYTES,
    damaged,
    packed,
    read_checked,
    require_checkpoint_file,
    require_numbers,
)
from ._exact_array import exact_array
from ._quoted import quoted
from ._types import JSON
from ._write_whole import write_whole

_KEY = "key:"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        leaves: arrays and flags by path, such as `tstate.parameters.layer_1.weight`.
        metadata: what was stored beside them.
        path: of the file.

    Example:
        >>> import tempfile
        >>> ps = {"layer_1": {"weight": jnp.ones(2, jnp.float32)}}
        >>> file = tempfile.mkdtemp() + "/weights.ckpt"
        >>> save_checkpoint(file, {"width": 2}, ps=ps)
        >>> checkpoint = load_checkpoint(file)
        >>> list(checkpoint.leaves), checkpoint.metadata
        (['ps.layer_1.weight'], {'width': 2})
    """

    leaves: dict[str, Any]
    metadata: dict[str, Any]
    path: Path

    def __repr__(self) -> str:
        trees = ", ".join(f"`{name}`" for name in self._trees())
        return f"Checkpoint({self.path}: {trees or 'no trees'}; metadata {list(self.metadata)})"

    def _trees(self) -> list[str]:
        """The names under which trees are stored."""
        return list(dict.fromkeys(path.partition(".")[0] for path in self.leaves))

    def restore(self, like: PyTree, name: str) -> Any:
        """The tree stored under `name`, with the structure of `like`.

        Raises:
            CheckpointError: it differs from `like` in structure, shape or dtype; names the first
                path. Nothing is cast.
        """
        # Whole paths, so that `ps` and `ps.` are told apart.
        stored = {p: f for p, f in self.leaves.items() if p == name or p.startswith(f"{name}.")}
        if not stored and jax.tree.leaves(like):
            trees = quoted(", ".join(f"`{known}`" for known in self._trees()), 400)
            raise CheckpointError(
                f"checkpoint {self.path} holds no tree `{name}`. It holds {trees or 'none'}."
            )
        whole = without_component_arrays(like)
        wanted = named_leaves({name: whole})
        # Flags are stored as text, so texts are compared.
        difference = first_difference(
            {path: describe(leaf) for path, leaf in wanted.items()},
            {path: _words(leaf, wanted.get(path)) for path, leaf in stored.items()},
            describe=str,
        )
        if difference:
            raise CheckpointError(
                f"checkpoint {self.path}: `{name}` does not fit, {quoted(difference, 400)}. Build "
                "the model and optimiser as they were when it was saved; nothing is cast."
            )
        arrays = [stored[path] for path, leaf in wanted.items() if not _is_flag(leaf)]
        return with_component_arrays(like, jax.tree.unflatten(jax.tree.structure(whole), arrays))


@dataclasses.dataclass(frozen=True)
class Flag:
    """A `Static` flag or None as it was stored, as text: it is compared and never rebuilt."""

    text: str

    def __repr__(self) -> str:
        return self.text


def checkpoint_file(path: str | os.PathLike) -> Path:
    """`path` if it ends in `.ckpt` or is a file, else the checkpoint in the folder `path`."""
    given = Path(path).expanduser()
    is_file = given.suffix == ".ckpt" or (given.exists() and not given.is_dir())
    return given if is_file else given / "checkpoint.ckpt"


def save_checkpoint(path: str | os.PathLike, metadata: dict[str, JSON], /, **trees: PyTree) -> None:
    """Write `trees` and `metadata` to one file, whole or not at all.

    The file is written under another name, synced and renamed, so that a crash leaves the old one.
    It holds the format version, path, shape and dtype of every leaf as text that any viewer shows,
    and checksums of all. A file that it replaces keeps its permissions.

    Args:
        path: a file that ends in `.ckpt`, or a folder for `checkpoint.ckpt`; folders are made, a
            link is followed.
        metadata: a dict of what JSON can hold, such as hyperparameters; tuples come back as lists
            and keys as strings.
        **trees: trees of arrays, each under its name.

    Raises:
        TypeError: a leaf is not an array of numbers, or `metadata` not a dict that JSON can hold.
        CheckpointError: a file exists that is not a checkpoint.
        OSError: the disk is full, or the folder cannot be written to; the old file is as it was.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> file = tempfile.mkdtemp() + "/weights.ckpt"
        >>> hyperparameters = {"width": 2, "learning_rate": 0.1}
        >>> save_checkpoint(file, hyperparameters, ps={"w": jnp.ones(2, jnp.float32)})
        >>> checkpoint = load_checkpoint(file)
        >>> like = {"w": jnp.zeros(checkpoint.metadata["width"], jnp.float32)}
        >>> checkpoint.restore(like, "ps")["w"].tolist()
        [1.0, 1.0]
    """
    leaves = named_leaves(without_component_arrays(trees))
    encoded = [_encode(name, leaf) for name, leaf in leaves.items()]
    entries, blobs = [entry for entry, _ in encoded], [blob for _, blob in encoded]
    file = checkpoint_file(path)
    require_checkpoint_file(file)
    write_whole(file, packed(entries, metadata, blobs))


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read and check a file written by `save_checkpoint`.

    Raises:
        CheckpointError: the file is not a checkpoint, of another format version, or damaged.
        TypeError: it holds numbers of 64 bits while x64 is off.

    Example:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/weights.ckpt"
        >>> save_checkpoint(file, {"width": 2}, ps={"w": jnp.ones(2, jnp.float32)})
        >>> checkpoint = load_checkpoint(file)
        >>> checkpoint.leaves["ps.w"].tolist(), checkpoint.metadata
        ([1.0, 1.0], {'width': 2})
    """
    path = checkpoint_file(path)
    header, body = read_checked(path)
    leaves = {}
    for entry in header["leaves"]:
        start = entry["offset"]
        leaves[entry["path"]] = _decode(path, entry, body[start : start + entry["size"]])
    return Checkpoint(leaves, header["metadata"], path)


def _is_flag(leaf: object) -> bool:
    return leaf is None or isinstance(leaf, Static)


def _words(stored: PyTree, wanted: object) -> str:
    """What is stored, as text; a flag is marked, since its text could be that of an array."""
    if isinstance(stored, Flag) and not _is_flag(wanted):
        return f"the flag {stored}"
    return describe(stored)


def _encode(name: str, leaf: Any) -> tuple[dict[str, Any], Any]:
    if _is_flag(leaf):
        return {"path": name, "flag": repr(leaf)}, b""
    kind, array = "", leaf
    if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind, array = f"{_KEY}{jax.random.key_impl(leaf)}", jax.random.key_data(leaf)
    if not hasattr(array, "dtype") or array.dtype.name not in DTYPES:
        raise TypeError(
            f"`save_checkpoint` expects arrays of numbers, got {describe(leaf)} at `{name}`."
        )
    entry = {"path": name, "dtype": array.dtype.name, "shape": list(np.shape(array)), "kind": kind}
    array = np.asarray(array)
    if array.dtype.name in MAX_BYTES:
        array = array.astype(np.int8).astype(array.dtype)  # NumPy lets a bool have any byte.
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return entry, array.reshape(-1).view(np.uint8)


def _decode(path: Path, entry: dict[str, JSON], blob: memoryview) -> Any:
    if "flag" in entry:
        return Flag(entry["flag"])
    name, kind = entry["path"], entry["kind"]
    require_numbers(path, name, entry["dtype"], blob)
    dtype = DTYPES[entry["dtype"]].newbyteorder("<")
    try:
        array = np.frombuffer(blob, dtype).reshape(entry["shape"])
    except ValueError:
        shape = quoted(str(entry["shape"]))
        raise damaged(path, f"`{quoted(name)}` cannot have the shape {shape}") from None
    leaf = exact_array(array, f"checkpoint {path}: `{quoted(name)}`")
    if not kind:
        return leaf
    try:
        return jax.random.wrap_key_data(leaf, impl=kind.removeprefix(_KEY))
    except (TypeError, ValueError):
        reason = f"`{quoted(name)}` is not a random key of the kind '{quoted(kind)}'"
        raise damaged(path, reason) from None
