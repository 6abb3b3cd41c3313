"""ComponentArray: one flat vector with named access, itself a valid `ps`."""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ..precision.internal import own_array, require_exact_numbers
from ._record import MissingEntryError, Record, as_record
from ._static_value import StaticValue
from ._tree import describe, named_leaves
from ._vector_arithmetic import VectorArithmetic

Vector: TypeAlias = Any
"""A flat vector: an array, a shape, or a `ComponentArray` whose entries are differentiated."""

# What operators combine with a `ComponentArray`.
_OPERANDS = (jax.Array, np.ndarray, np.generic, int, float, complex)


class Axis(StaticValue):
    """Where an entry lies in the vector: a leaf has a shape, a node has entries."""

    offset: int
    size: int
    shape: tuple[int, ...] | None
    entries: tuple[tuple[str, "Axis"], ...] = ()

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.entries)


class ComponentArray(VectorArithmetic):
    """A flat vector with named parts: `ps.layer_1.weight` is a view of `ps.vector`.

    It is a pytree whose only leaf is the vector: optimisers, flat-vector algorithms and `jax.grad`
    see one array, and layers see the tree. Entries have the order of the tree, and each is stored
    in row-major order. Operators and indices act on the vector: `ps - 0.1 * grads` keeps the names,
    `ps[:3]` and `matrix @ ps` are plain arrays.

    Where `jax.vmap` or `jax.jacobian` put axes in front, names address the last axis: an entry of
    shape (2, 3) is (*batch, 2, 3). The Jacobian of one ComponentArray with respect to another has
    the names of both, first those of what is differentiated: `hessian.weight.bias`.

    Args:
        tree: a `Record`, or nested dicts or NamedTuples, of arrays of one dtype.

    Raises:
        TypeError: the leaves have more than one dtype, or are not arrays. Nothing is promoted.
        ValueError: an operator between two with different names or sizes; a vector whose last axis
            has another length than the names.

    Source: ComponentArrays.jl, which Lux uses for flat parameters.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> ps = ComponentArray({"weight": jnp.ones((2, 2), jnp.float32),
        ...                      "bias": jnp.zeros(2, jnp.float32)})
        >>> ps.vector.shape, ps.weight.shape, len(ps)
        ((6,), (2, 2), 6)
        >>> (2 * ps).weight[0, 0].item()
        2.0
        >>> jax.jacobian(lambda ps: ps.weight @ ps.bias)(ps).weight.shape
        (2, 2, 2)
    """

    __slots__ = ("_axis", "_vector")
    _axis: Axis
    _vector: Any

    def __init__(self, tree: PyTree) -> None:
        if isinstance(tree, ComponentArray):
            _set_vector(self, tree._vector)
            _set_axis(self, tree._axis)
            return
        tree = as_record(tree)
        if not isinstance(tree, Record):
            raise TypeError(
                f"`ComponentArray` expects a tree with names (a Record, dict or NamedTuple), got "
                f"{type(tree).__name__}."
            )
        leaves = named_leaves(tree)
        _check_leaves(leaves)
        require_exact_numbers(tree, "`ComponentArray`: the tree")
        parts = [jnp.ravel(own_array(leaf)) for leaf in leaves.values()]
        _set_vector(self, jnp.concatenate(parts) if parts else jnp.zeros(0, jnp.float32))
        _set_axis(self, _axis_of(tree, 0))

    @property
    def vector(self) -> jax.Array:
        """The flat vector, (..., length); a `ComponentArray` if its entries are differentiated."""
        return self._vector

    @property
    def dtype(self) -> np.dtype:
        """The dtype of all entries."""
        return self._vector.dtype

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._vector, dtype=dtype, copy=copy)

    def replace(self, vector: Vector) -> "ComponentArray":
        """The same names for another vector, (..., length).

        Raises:
            ValueError: the vector has another length.
            TypeError: it is not an array, or a float64 array while x64 is off.
        """
        if not hasattr(vector, "shape"):
            raise TypeError(
                f"`ComponentArray.replace` expects the vector to be an array, got "
                f"{type(vector).__name__}. Convert it: jnp.asarray(vector, dtype)."
            )
        require_exact_numbers(vector, "`ComponentArray.replace`: the vector")
        return self._over(own_array(vector) if isinstance(vector, np.ndarray) else vector)

    def as_record(self) -> Record:
        """The tree of arrays with these names."""
        return Record({name: _entry_tree(self[name]) for name in self._names})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        for entry, axis in self._axis.entries:
            if entry == name:
                _check_length(self._vector, self._axis.size)
                return _view(self._vector, axis)
        raise MissingEntryError(self, name)

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, str):
            return self._vector[index]
        if index not in self._names:
            raise KeyError(str(MissingEntryError(self, index)))
        return getattr(self, index)

    def _over(self, vector: Vector) -> "ComponentArray":
        _check_length(vector, self._axis.size)
        return _make(self._axis, vector)

    def _combined(self, operate: Callable, left: PyTree, right: PyTree) -> Any:
        pair = [part for part in (left, right) if _is_flat(part)]
        if len(pair) == 2 and pair[0]._axis != pair[1]._axis:
            raise ValueError(
                f"`ComponentArray` expects the same names on both sides of an operator, got "
                f"{left!r} and {right!r}. Use their `vector`s."
            )
        vectors = [part._vector if _is_flat(part) else part for part in (left, right)]
        if not all(isinstance(part, _OPERANDS) or _is_flat(part) for part in vectors):
            return NotImplemented
        result = operate(*vectors)
        return result if operate is operator.matmul else self._over(result)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"`ComponentArray` is immutable: cannot set `{name}`. Use replace(vector)."
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return self._axis.size

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._names]

    def __reduce__(self) -> tuple:
        return (_make, (self._axis, self._vector))

    def __repr__(self) -> str:
        entries = ", ".join(f"{name}={self._axis_repr(name)}" for name in self)
        return f"ComponentArray({describe(self._vector)}: {entries})"

    def _axis_repr(self, name: str) -> str:
        axis = dict(self._axis.entries)[name]
        return str(axis.shape) if axis.shape is not None else f"{axis.size} numbers"

    @property
    def _names(self) -> tuple[str, ...]:
        return self._axis._names


def without_component_arrays(tree: PyTree) -> Any:
    """`tree` with a `Record` of NumPy arrays in place of every `ComponentArray`: for files.

    Example:
        >>> import jax.numpy as jnp
        >>> flat = ComponentArray({"w": jnp.ones((2, 2), jnp.float32)})
        >>> without_component_arrays((flat, 1))[0].w.shape
        (2, 2)
    """

    def expand(node: PyTree) -> Any:
        return _make(node._axis, _host_vector(node.vector)).as_record() if _is_flat(node) else node

    return jax.tree.map(expand, tree, is_leaf=_is_flat)


def with_component_arrays(like: PyTree, tree: PyTree) -> Any:
    """`tree` with a `ComponentArray` wherever `like` has one: undoes `without_component_arrays`.

    Args:
        like: a tree with the ComponentArrays, of the structure of the result.
        tree: a tree as `without_component_arrays` returns it.

    Example:
        >>> import jax.numpy as jnp
        >>> flat = ComponentArray({"w": jnp.ones((2, 2), jnp.float32)})
        >>> with_component_arrays(flat, without_component_arrays(flat)).vector.shape
        (4,)
    """

    def contract(node: PyTree, found: PyTree) -> Any:
        if not _is_flat(node):
            return found
        batch = node.vector.shape[:-1]
        parts = [
            np.reshape(leaf, (*batch, math.prod(np.shape(leaf)[len(batch) :])))
            for leaf in jax.tree.leaves(found)
        ]
        return node.replace(np.concatenate(parts, -1)) if parts else node

    return jax.tree.map(contract, like, tree, is_leaf=_is_flat)


def _is_flat(node: PyTree) -> bool:
    return isinstance(node, ComponentArray)


def _host_vector(vector: Vector) -> np.ndarray:
    if hasattr(vector, "__array__"):
        return np.asarray(vector)
    return np.broadcast_to(np.zeros((), vector.dtype), vector.shape)  # A `jax.ShapeDtypeStruct`.


_set_vector = ComponentArray.__dict__["_vector"].__set__
_set_axis = ComponentArray.__dict__["_axis"].__set__


def _make(axis: Axis, vector: Vector) -> ComponentArray:
    array = object.__new__(ComponentArray)
    _set_axis(array, axis)
    _set_vector(array, vector)
    return array


def _check_leaves(leaves: dict[str, PyTree]) -> None:
    for name, leaf in leaves.items():
        if not isinstance(leaf, jax.Array | np.ndarray):
            raise TypeError(
                f"`ComponentArray` expects arrays, got {describe(leaf)} at `{name}`. "
                "Convert it: jnp.asarray(value, dtype)."
            )
    by_dtype = {leaf.dtype.name: name for name, leaf in reversed(leaves.items())}
    if len(by_dtype) > 1:
        found = ", ".join(f"{dtype} at `{name}`" for dtype, name in reversed(by_dtype.items()))
        with jax.numpy_dtype_promotion("standard"):
            common = jnp.result_type(*map(jnp.dtype, by_dtype)).name
        raise TypeError(
            f"`ComponentArray` expects one dtype, got {found}. Nothing is promoted for you: "
            f'convert the tree first, jax.tree.map(lambda leaf: leaf.astype("{common}"), tree).'
        )


def _check_length(vector: Vector, length: int, behind: int = 0) -> None:
    """Raise unless the axis of the names has their length; `behind` other axes come after it."""
    if _is_flat(vector):
        _check_length(vector._vector, length, behind + 1)
        return
    place = len(vector.shape) - 1 - behind
    if place < 0 or vector.shape[place] != length:
        where = "along the last axis" if behind == 0 else f"{behind} before the last axis"
        raise ValueError(
            f"`ComponentArray` has names for {length} numbers {where}, got a vector of shape "
            f"{vector.shape}. Put other axes in front."
        )


def _axis_of(tree: PyTree, offset: int) -> Axis:
    if not isinstance(tree, Record):
        if not hasattr(tree, "shape"):
            raise TypeError(
                f"`ComponentArray` expects a tree of Records, got {type(tree).__name__} in it."
            )
        return Axis(offset, math.prod(tree.shape), tuple(tree.shape))
    entries, end = [], offset
    for name, entry in tree.items():
        if hasattr(ComponentArray, name):
            raise ValueError(
                f"`ComponentArray` cannot have an entry `{name}`, which is a member of its own. "
                "Choose another name."
            )
        axis = _axis_of(entry, end)
        entries.append((name, axis))
        end += axis.size
    return Axis(offset, end - offset, None, tuple(entries))


def _view(vector: Vector, axis: Axis) -> Any:
    part = _part(vector, axis, 0)
    return part if axis.shape is not None else _make(_shifted(axis, axis.offset), part)


def _part(vector: Vector, axis: Axis, behind: int) -> Any:
    """The entries of `axis`, in their shape if it is a leaf; `behind` other axes come after it."""
    if _is_flat(vector):  # The axis of its own names comes after this one.
        return _make(vector._axis, _part(vector._vector, axis, behind + 1))
    after = (slice(None),) * behind
    part = vector[(..., slice(axis.offset, axis.offset + axis.size), *after)]
    if axis.shape is None:
        return part
    place = part.ndim - 1 - behind
    return part.reshape(*part.shape[:place], *axis.shape, *part.shape[place + 1 :])


def _shifted(axis: Axis, by: int) -> Axis:
    entries = tuple((name, _shifted(entry, by)) for name, entry in axis.entries)
    return Axis(axis.offset - by, axis.size, axis.shape, entries)


def _entry_tree(entry: PyTree) -> Any:
    return entry.as_record() if isinstance(entry, ComponentArray) else entry


jax.tree_util.register_pytree_with_keys(
    ComponentArray,
    lambda array: (((jax.tree_util.GetAttrKey("vector"), array._vector),), array._axis),
    lambda axis, children: _make(axis, *children),
    lambda array: ((array._vector,), array._axis),
)
