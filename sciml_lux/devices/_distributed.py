"""Data parallelism: parameters on every device, rows divided between them."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from ..core import (
    StateStructureError,
    describe,
    first_difference,
    named_leaves,
    path_name,
    require_jax_dtype,
)
from ._processes import bytes_of_first_process, counts_of_processes, texts_of_processes

_AXIS = "data"

Tree = TypeVar("Tree")


def data_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """The devices in a row, along one axis named `data`.

    Args:
        devices: all devices of all processes by default.

    Example:
        >>> data_mesh().axis_names
        ('data',)
    """
    return Mesh(np.asarray(jax.devices() if devices is None else devices), (_AXIS,))


def synchronize(tree: Tree, mesh: Mesh | None = None) -> Tree:
    """The tree with every array on every device of the mesh, as the first process has it.

    Bit for bit, however the processes began. A `TrainState` that has gone through this trains with
    `single_train_step`, `train_steps` and `fit` on the arrays of `DistributedData`: the loss is of
    the whole batch, so gradients, and the statistics of a `BatchNorm`, are of all its rows.

    Args:
        tree: of arrays, for example a `TrainState`; other leaves stay as they are.
        mesh: a mesh of one axis; `data_mesh()` by default.

    Raises:
        StateStructureError: the trees of two processes differ in structure, shape or dtype; names
            the first path, on every process.
        ValueError: an array is divided between processes, so that none has it.
        TypeError: a NumPy array is of a dtype that JAX would change.

    Source: `DistributedUtils.synchronize!!` of Lux 1.31. What its `DistributedOptimizer` does,
        the mean of the gradients, the compiler does here.

    Example:
        >>> import jax.numpy as jnp
        >>> synchronize({"weight": jnp.ones(2, jnp.float32)})["weight"].is_fully_replicated
        True
    """
    sharding = NamedSharding(mesh or data_mesh(), PartitionSpec())
    _require_same_structure("`synchronize`", tree)
    leaves, treedef = jax.tree.flatten(tree)
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    arrays = [_host_array(leaf, name) for leaf, name in zip(leaves, names, strict=True)]
    data = bytes_of_first_process(b"".join(a.tobytes() for a in arrays if a is not None))
    offset, placed = 0, []
    for leaf, array in zip(leaves, arrays, strict=True):
        if array is None:
            placed.append(leaf)
            continue
        value = np.frombuffer(data, array.dtype, array.size, offset).reshape(array.shape)
        placed.append(_placed(value, leaf, sharding))
        offset += array.nbytes
    return jax.tree.unflatten(treedef, placed)


def placed_as(tree: Tree, like: Any) -> Tree:
    """`tree` where `like` was placed, on one device or several; a leaf that was not stays free."""

    def place(leaf: Any, old: Any) -> Any:
        array = _host_array(leaf, "array")
        if array is None or not isinstance(old, jax.Array) or not old.committed:
            return leaf
        return _placed(array, leaf, old.sharding)

    return jax.tree.map(place, tree, like)


def shard_batch(tree: Tree, mesh: Mesh | None = None, *, axis: int = 0) -> Tree:
    """One batch of all processes' rows, divided between the devices; each brings its own.

    The rows of process 0 come first. Of `n` rows in all on `d` devices each device gets `n / d`.

    Args:
        tree: of arrays with this process's rows, as many on every process.
        mesh: a mesh of one axis; `data_mesh()` by default.
        axis: of the rows; 1 for the stacked batches of `train_steps`.

    Raises:
        ValueError: the devices of this process do not divide its rows; arrays, or processes,
            differ in their number of rows.
        TypeError: a NumPy array is of a dtype that JAX would change.

    Example:
        >>> import jax, numpy as np
        >>> rows = 2 * jax.local_device_count()
        >>> shard_batch(np.zeros((rows, 3), np.float32)).shape == (2 * jax.device_count(), 3)
        True
    """
    mesh = mesh or data_mesh()
    rows = _count_rows("`shard_batch`", tree, axis)
    counts = counts_of_processes(rows)
    if len(set(counts)) > 1:
        raise ValueError(
            f"`shard_batch` expects as many rows from every process, got {counts}. Cut them to "
            f"{min(counts)}, or divide data that all have with `DistributedData`."
        )
    _check_division("`shard_batch`", rows, len(mesh.local_devices), "devices of this process")
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, _only_axis(mesh)))
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, np.array(leaf)), tree
    )


class DistributedData:
    """Rows of data, divided between the devices of all processes.

    Of `n` rows on `d` devices, device `i` of the mesh gets rows `i n/d` to `(i + 1) n/d - 1`; `d`
    must divide `n`, so that no row is dropped or counted twice. The data are given whole and the
    same on every process, as a memory-mapped file is, but only a process's own rows are read.
    For data that no process has whole there is `shard_batch`.

    Args:
        data: a tree of arrays with the rows along the first axis.
        mesh: a mesh of one axis; `data_mesh()` by default.

    Attributes:
        rows: of this process, int64, in order of its devices.
        sharding: how the rows lie on the devices.

    Raises:
        ValueError: the devices do not divide the rows; arrays differ in their number of rows.
        StateStructureError: the data of two processes differ in structure, shape or dtype.
        TypeError: a NumPy array is of a dtype that JAX would change.

    Source: `DistributedUtils.DistributedDataContainer` of Lux 1.31, which gives the last process
        fewer rows, so that its mean of means is not the mean; ours raises.

    Example:
        >>> import jax, numpy as np
        >>> n = 4 * jax.device_count()
        >>> data = DistributedData((np.zeros((n, 3), np.float32), np.arange(n, dtype=np.int32)))
        >>> x, y = data.arrays
        >>> x.shape == (n, 3), len(data) == n
        (True, True)
    """

    def __init__(self, data: Any, mesh: Mesh | None = None) -> None:
        self._data, self._mesh = data, mesh or data_mesh()
        self._count = _count_rows("`DistributedData`", data, 0)
        _require_same_structure("`DistributedData`", data)
        _check_division("`DistributedData`", self._count, self._mesh.size, "devices")
        self.sharding = NamedSharding(self._mesh, PartitionSpec(_only_axis(self._mesh)))
        shares = self.sharding.addressable_devices_indices_map((self._count,)).values()
        self.rows = np.concatenate([np.arange(self._count)[share] for share in shares])

    def __len__(self) -> int:
        return self._count

    @property
    def arrays(self) -> Any:
        """All rows, as arrays divided between the devices; what `fit` takes."""
        return self._divided(lambda leaf, share: leaf[share[0]], (self._count,))

    def __getitem__(self, rows: Any) -> Any:
        """A batch of these rows, the same on every process, divided between the devices.

        Args:
            rows: integers, (batch,); or (steps, batch) for the stacked batches of `train_steps`.

        Raises:
            ValueError: the devices do not divide the batch.
            IndexError: rows are no integers, or there is no such row.
        """
        rows = np.asarray(rows)
        if rows.ndim not in {1, 2} or not np.issubdtype(rows.dtype, np.integer):
            raise IndexError(
                "`DistributedData` expects rows as integers of shape (batch,) or (steps, batch), "
                f"got {describe(rows)}."
            )
        if rows.size and (rows.min() < 0 or rows.max() >= self._count):
            raise IndexError(
                f"`DistributedData` has rows 0 to {self._count - 1}, got {rows.min()} to "
                f"{rows.max()}."
            )
        _check_division("`DistributedData`", rows.shape[-1], self._mesh.size, "devices")
        return self._divided(lambda leaf, share: leaf[rows[share]], rows.shape)

    def _divided(self, read: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> Any:
        """Arrays of leading axes `shape`, the last of them divided; each device reads its share."""
        spec = PartitionSpec(*[None] * (len(shape) - 1), _only_axis(self._mesh))
        sharding = NamedSharding(self._mesh, spec)

        def divide(leaf: Any) -> jax.Array:
            array = leaf if isinstance(leaf, np.ndarray) else np.asarray(leaf)

            def part(share: Any) -> np.ndarray:
                return np.array(read(array, share[: len(shape)]))

            return jax.make_array_from_callback((*shape, *array.shape[1:]), sharding, part)

        return jax.tree.map(divide, self._data)


def _only_axis(mesh: Mesh) -> str:
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"data are divided along a mesh of one axis, got the axes {mesh.axis_names}. Make it "
            "with data_mesh()."
        )
    return mesh.axis_names[0]


def _require_same_structure(subject: str, tree: Any) -> None:
    words = {path: describe(leaf) for path, leaf in named_leaves(tree).items()}
    all_words = [json.loads(text) for text in texts_of_processes(json.dumps(words))]
    for process, other in enumerate(all_words):
        difference = first_difference(all_words[0], other, describe=str)
        if difference:
            raise StateStructureError(
                f"{subject} expects the same tree on every process, but process {process} differs "
                f"from process 0 {difference}. Build the model, optimiser and data alike on all."
            )


def _count_rows(subject: str, tree: Any, axis: int) -> int:
    counts = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = f"`{path_name(path)}`" if path else "the array"
        if not hasattr(leaf, "dtype") or np.ndim(leaf) <= axis:
            raise ValueError(
                f"{subject} expects arrays with rows along axis {axis}, got {describe(leaf)} at "
                f"{name}. What has no rows goes through `synchronize`."
            )
        require_jax_dtype(leaf.dtype, f"{subject}: {name}")
        counts[name] = np.shape(leaf)[axis]
    if len(set(counts.values())) != 1:
        raise ValueError(
            f"{subject} expects arrays with as many rows each, along axis {axis}, got {counts}."
        )
    return next(iter(counts.values()))


def _check_division(subject: str, rows: int, parts: int, what: str) -> None:
    if rows % parts:
        raise ValueError(
            f"{subject} expects a number of rows that {parts} {what} divide, got {rows}. Take "
            f"{rows - rows % parts} of them, or a mesh of other devices."
        )


def _host_array(leaf: Any, name: str) -> np.ndarray | None:
    """The numbers of a leaf, of a key its words; None for what is no array."""
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return None
    require_jax_dtype(leaf.dtype, f"`{name}`")
    if isinstance(leaf, jax.Array):
        if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            raise ValueError(
                f"`{name}` is divided between processes, so that none has it whole. Data go "
                "through `DistributedData`, parameters through here once."
            )
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _placed(value: np.ndarray, leaf: Any, sharding: Sharding) -> jax.Array:
    """`value` by `sharding`, as an array of the kind of `leaf`; no process asks another."""
    array = jax.make_array_from_callback(value.shape, sharding, lambda share: value[share])
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return array
