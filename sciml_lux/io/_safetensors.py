"""save_safetensors, load_safetensors: weights in a format that other libraries have."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np
from jaxtyping import PyTree

from ..core import Parameters
from ..core.internal import (
    describe,
    first_difference,
    named_leaves,
    with_component_arrays,
    without_component_arrays,
)
from ..precision.internal import require_exact_dtype
from ._checkpoint_error import CheckpointError
from ._checkpoint_format import DTYPES, require_numbers
from ._exact_array import exact_array
from ._quoted import quoted
from ._regular_file import open_regular, require_replaceable
from ._types import JSON
from ._write_whole import write_whole

_NAMES = {
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E4M3FNUZ": "float8_e4m3fnuz"},
    **{"F8_E5M2": "float8_e5m2", "F8_E5M2FNUZ": "float8_e5m2fnuz"},
    **{"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"},
    "C64": "complex64",
}
_RESERVED = "__metadata__"


def save_safetensors(path: str | os.PathLike, ps: Parameters) -> None:
    """Write a tree of arrays to a safetensors file, each under its path: `layer_1.weight`.

    The file is replaced whole or not at all. It holds only arrays, and no checksum: to resume a
    training, use `save_checkpoint`.

    Args:
        path: of the file; folders are made.
        ps: a tree of arrays. Nothing is cast.

    Raises:
        TypeError: a leaf is a flag, None, a random key, or of a dtype that the format lacks, such
            as complex128; names its path.
        ValueError: a leaf has the name that the format reserves, `__metadata__`.
        CheckpointError: a file exists that is not a safetensors file.
        ModuleNotFoundError: the package safetensors is missing.

    Source: safetensors 0.8. It has no order of leaves; ours is that of the tree.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> file = tempfile.mkdtemp() + "/weights.safetensors"
        >>> save_safetensors(file, {"layer_1": {"weight": jnp.ones(2, jnp.float32)}})
        >>> load_safetensors(file, {"layer_1": {"weight": jnp.zeros(2, jnp.float32)}})
        {'layer_1': {'weight': Array([1., 1.], dtype=float32)}}
    """
    _import_safetensors("save_safetensors")
    from safetensors.numpy import save

    leaves = named_leaves(without_component_arrays(ps))
    for name, leaf in leaves.items():
        if str(getattr(leaf, "dtype", None)) not in _NAMES.values():
            raise TypeError(
                f"`save_safetensors` cannot hold {describe(leaf)} at `{name}`: the format has "
                "arrays of bool, integers, floats and complex64 only. Use `save_checkpoint`, or "
                "leave it out."
            )
        if name == _RESERVED:
            raise ValueError(f"`save_safetensors`: the format reserves the name `{name}`.")
    arrays = {name: np.require(leaf, requirements=["C", "A"]) for name, leaf in leaves.items()}
    path = Path(path).expanduser()
    require_replaceable(path, _is_safetensors, "safetensors file")
    write_whole(path, [save(arrays)])


def load_safetensors(path: str | os.PathLike, like: PyTree) -> Any:
    """The tree of arrays in a safetensors file, with the structure of `like`.

    Args:
        path: of the file.
        like: a tree of arrays or `jax.ShapeDtypeStruct`s, such as
            `parameter_structure(model, dtype=...)`; its paths are the names in the file.

    Raises:
        CheckpointError: the file is not a safetensors file, or differs from `like` in names, shapes
            or dtypes; names the first path. Nothing is cast.
        TypeError: it holds numbers of 64 bits while x64 is off.
        ModuleNotFoundError: the package safetensors is missing.

    Source: safetensors 0.8.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> file = tempfile.mkdtemp() + "/weights.safetensors"
        >>> save_safetensors(file, {"weight": jnp.ones(2, jnp.float32)})
        >>> load_safetensors(file, {"weight": jax.ShapeDtypeStruct((2,), jnp.float32)})
        {'weight': Array([1., 1.], dtype=float32)}
    """
    safetensors = _import_safetensors("load_safetensors")
    path = Path(path).expanduser()
    with open_regular(path) as file:
        data = file.read()
    try:
        stored = dict(safetensors.deserialize(data))
    except safetensors.SafetensorError as error:
        reason = quoted(str(error))
        raise CheckpointError(f"{path} is not a whole safetensors file: {reason}.") from None
    arrays = {name: _as_array(path, name, entry) for name, entry in stored.items()}
    whole = without_component_arrays(like)
    wanted = {name: describe(leaf) for name, leaf in named_leaves(whole).items()}
    found = {name: describe(array) for name, array in arrays.items()}
    difference = first_difference(wanted, found, describe=str)
    if difference:
        raise CheckpointError(
            f"{path} does not fit, {quoted(difference, 400)}. Build the model as it was when it "
            "was saved, or rename and convert the leaves yourself; nothing is cast."
        )
    leaves = [exact_array(arrays[name], f"{path}: `{name}`") for name in wanted]
    return with_component_arrays(like, jax.tree.unflatten(jax.tree.structure(whole), leaves))


def _as_array(path: Path, name: str, entry: dict[str, JSON]) -> np.ndarray:
    shown = quoted(name)
    if entry["dtype"] not in _NAMES:
        raise CheckpointError(
            f"{path}: `{shown}` is of the dtype {entry['dtype']}, which `load_safetensors` does "
            "not know. Convert it with the library that wrote it."
        )
    dtype = DTYPES[_NAMES[entry["dtype"]]]
    require_exact_dtype(dtype, f"{path}: `{shown}`")
    require_numbers(path, name, dtype.name, entry["data"])
    try:
        return np.frombuffer(entry["data"], dtype.newbyteorder("<")).reshape(entry["shape"])
    except ValueError:
        shape = quoted(str(entry["shape"]))
        raise CheckpointError(f"{path}: `{shown}` cannot have the shape {shape}.") from None


def _is_safetensors(file: BinaryIO) -> bool:
    """Whether a file begins like one: with the length of its header, and JSON."""
    size, brace = int.from_bytes(file.read(8), "little"), file.read(1)
    return brace == b"{" and size <= os.fstat(file.fileno()).st_size - 8


def _import_safetensors(caller: str) -> Any:
    try:
        import safetensors
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"`{caller}` needs the package safetensors. Install it: pip install 'sciml_lux[io]'."
        ) from None
    return safetensors
