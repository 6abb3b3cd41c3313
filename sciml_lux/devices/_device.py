"""Device, get_device: moving trees to a device, and asking which one they are on."""

import warnings
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ..core import StaticValue
from ..core.internal import path_name
from ..precision.internal import own_array, require_exact_dtype, require_exact_floats

Tree = TypeVar("Tree")


class Device(StaticValue):
    """A device of this process as a function: `device(tree)` is the tree, moved there.

    Arrays, including those of NumPy, become JAX arrays of the same dtype on the device; flags,
    numbers and functions stay as they are. A device is a value: it can be compared and pickled.

    Args:
        platform: `cpu`, `gpu` or `tpu`.
        index: which of this process's devices of that platform, from 0.

    Raises:
        RuntimeError: JAX has no such platform here.
        ValueError: it has no device of that number; an array is divided between processes.
        TypeError: a NumPy array is of a dtype that JAX would change or does not have.

    Source: the devices of MLDataDevices (Lux 1.31). Theirs count from 1 and make Float64 arrays
        Float32 on a GPU; ours never convert. `precision.f32` does.

    Example:
        >>> import numpy as np
        >>> device = Device("cpu", 0)
        >>> ps = device({"weight": np.ones(2, np.float32), "name": "a"})
        >>> ps["weight"].dtype.name, ps["name"], get_device(ps)
        ('float32', 'a', Device('cpu', 0))
    """

    platform: str
    index: int

    def __post_init__(self) -> None:
        try:
            count = len(jax.local_devices(backend=self.platform))
        except RuntimeError:
            raise RuntimeError(
                f"`Device`: JAX has no platform {self.platform!r} here. It has "
                f"{jax.default_backend()!r}; install the JAX of that platform, and look at "
                "JAX_PLATFORMS."
            ) from None
        is_integer = isinstance(self.index, int) and not isinstance(self.index, bool)
        if not is_integer or self.index not in range(count):
            raise ValueError(
                f"`Device` expects `index` to be one of the {count} of platform "
                f"{self.platform!r}, 0 to {count - 1}, got {self.index!r}."
            )

    @property
    def jax_device(self) -> Any:
        """The device as JAX has it."""
        return jax.local_devices(backend=self.platform)[self.index]

    def __call__(self, tree: Tree) -> Tree:
        """The tree with every array on this device."""
        device = self.jax_device

        def move(path: jax.tree_util.KeyPath, leaf: object) -> Any:
            name = f"`{path_name(path)}`" if path else "the array"
            if _is_divided_between_processes(leaf):
                raise ValueError(
                    f"{name} is divided between processes and cannot be moved to one device. Take "
                    "what this process has of it: leaf.addressable_shards."
                )
            if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
                return leaf
            require_exact_dtype(leaf.dtype, name)
            require_exact_floats(leaf, name)
            return jax.device_put(own_array(leaf), device)

        return jax.tree_util.tree_map_with_path(move, tree)


def cpu_device(index: int = 0) -> Device:
    """The function that moves a tree to the CPU; see `Device`.

    Args:
        index: which of its devices, if JAX is set to have several of the CPU.

    Source: `cpu_device` of Lux 1.31.

    Example:
        >>> import numpy as np
        >>> cpu_device()(np.ones(2, np.float32))
        Array([1., 1.], dtype=float32)
    """
    return Device("cpu", index)


def gpu_device(index: int = 0, *, force: bool = False) -> Device:
    """The function that moves a tree to a GPU; see `Device`. Without a GPU it is the CPU.

    Args:
        index: which GPU of this process, from 0.
        force: an error in place of a warning if there is no GPU.

    Raises:
        RuntimeError: there is no GPU, with `force`.
        ValueError: there are GPUs, but none of that number.

    Source: `gpu_device` of Lux 1.31, which counts from 1.

    Example:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # Of a machine without a GPU.
        ...     device = gpu_device()
        >>> device.platform in {"gpu", "cpu"}
        True
    """
    try:
        jax.local_devices(backend="gpu")
    except RuntimeError:
        if force:
            raise RuntimeError(
                "`gpu_device` found no GPU that JAX can use, and `force` is set. Install the JAX "
                "of your GPU, look at JAX_PLATFORMS, or leave `force` out to use the CPU."
            ) from None
        warnings.warn(
            "`gpu_device` found no GPU that JAX can use; the CPU takes its place. Set force=True "
            "to make this an error, or use cpu_device().",
            stacklevel=2,
        )
        return cpu_device()
    return Device("gpu", index)


def get_device(tree: PyTree) -> Device | None:
    """The device that the arrays of a tree are on; None where it has no arrays.

    NumPy arrays are on the CPU.

    Raises:
        ValueError: the leaves are not on one device; names the first that is not.
        TypeError: inside a compiled function, where arrays have no device yet.

    Source: `get_device` of Lux 1.31.

    Example:
        >>> import numpy as np
        >>> get_device([np.ones(2), np.zeros(3)]), get_device(["a"])
        (Device('cpu', 0), None)
    """
    first = None
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            continue
        name = f"`{path_name(path)}`" if path else "the array"
        device = _device_of(leaf, name)
        if first is None:
            first = name, device
        elif device != first[1]:
            raise ValueError(
                f"`get_device` expects all arrays on one device: {first[0]} is on {first[1]}, "
                f"{name} on {device}. Move the tree: {first[1]}(tree)."
            )
    return first[1] if first else None


def _is_divided_between_processes(leaf: object) -> bool:
    return (
        isinstance(leaf, jax.Array)
        and not isinstance(leaf, Tracer)
        and not leaf.is_fully_addressable
    )


def _device_of(leaf: jax.Array | np.ndarray | np.generic, name: str) -> Device:
    if isinstance(leaf, Tracer):
        raise TypeError(
            f"`get_device` cannot say where {name} is inside a compiled function. Ask outside."
        )
    if not isinstance(leaf, jax.Array):
        return Device("cpu", 0)
    devices = leaf.devices()
    if len(devices) > 1:
        raise ValueError(
            f"`get_device` expects all arrays on one device, but {name} is divided between "
            f"{len(devices)}. Look at its `sharding`."
        )
    (device,) = devices
    return Device(device.platform, jax.local_devices(backend=device.platform).index(device))
