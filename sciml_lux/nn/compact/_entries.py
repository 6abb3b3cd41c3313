"""What the keywords of `compact` become: layers, parameters, states and constants."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ...core import Key, Record, Static, StaticValue, is_layer
from ...core.internal import argument_text, assigned_attributes, describe
from ...precision.internal import own_array, require_exact_numbers

# Pairs of name and value stand for a dict, here and in the fields of every layer.
Entries = tuple[tuple[str, Any], ...]


class HeldArray(StaticValue):
    """An array as a value, compared by content, so that it can be the field of a layer."""

    data: bytes
    dtype: str
    shape: tuple[int, ...]

    def array(self) -> jax.Array:
        """The array in its own dtype."""
        array = np.frombuffer(self.data, jnp.dtype(self.dtype)).reshape(self.shape)
        require_exact_numbers(array, "an array that a compact layer starts from")
        return own_array(array)

    def __repr__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


class HeldDict(StaticValue):
    """A dict of constants as a value, in the order of its entries."""

    entries: Entries

    def __repr__(self) -> str:
        entries = [f"{name!r}: {argument_text(entry)}" for name, entry in self.entries]
        return "{" + ", ".join(entries) + "}"


class InitFn(StaticValue):
    """What `init_fn` returns."""

    function: Callable[[jax.Array, np.dtype], Any]
    kind: str = "parameter"

    def __repr__(self) -> str:
        kind = "" if self.kind == "parameter" else f", {self.kind!r}"
        return f"init_fn({argument_text(self.function)}{kind})"


class NonTrainable(StaticValue):
    """What `non_trainable` returns."""

    value: Any

    def __repr__(self) -> str:
        return f"non_trainable({argument_text(self.value)})"


def init_fn(
    function: Callable[[jax.Array, np.dtype], Any],
    kind: Literal["parameter", "state"] = "parameter",
) -> InitFn:
    """A keyword of `compact` that starts from `function(key, dtype)` at each `setup`.

    Args:
        function: of the random key and the dtype of `setup`; it returns an array.
        kind: "parameter", which is trained, or "state".

    Raises:
        TypeError: `function` does not take two arguments.
        ValueError: `kind` is neither of the two.

    Source: `@init_fn` of Lux 1.31, whose function gets only the random generator; ours also gets
        the dtype, so that it can draw in it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> weight = nn.init_fn(lambda key, dtype: jax.random.normal(key, (2, 3), dtype))
        >>> model = nn.compact(lambda m, x: x @ m.weight.T, weight=weight)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 3), jnp.float32), ps, st)[0].shape
        (5, 2)
    """
    if kind not in ("parameter", "state"):
        raise ValueError(f'`init_fn` expects `kind` to be "parameter" or "state", got {kind!r}.')
    if not callable(function) or not _takes(function, 2):
        raise TypeError(
            f"`init_fn` expects a function of (key, dtype), got {argument_text(function)}. Write "
            "init_fn(lambda key, dtype: jax.random.normal(key, shape, dtype))."
        )
    return InitFn(function, kind)


def non_trainable(x: Any) -> NonTrainable:
    """A keyword of `compact` that is a state, which optimisers do not change.

    Args:
        x: an array, which keeps its dtype; a Python number, which takes the dtype of `setup` if
            it is floating and int32 if it is an integer; or a list, tuple or dict of them.

    Raises:
        TypeError: anything else.

    Source: `@non_trainable` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> fixed = nn.non_trainable(jnp.ones(3, jnp.float32))
        >>> model = nn.compact(lambda m, x: m.w * x + m.fixed, w=jnp.ones(3, jnp.float32),
        ...                    fixed=fixed)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> list(ps), list(st)
        (['w'], ['fixed'])
    """
    for leaf in _leaves(x):
        if not (_is_array(leaf) or _is_number(leaf)):
            raise TypeError(
                f"`non_trainable` expects arrays or numbers, got {leaf!r} of type "
                f"{type(leaf).__name__}. Layers and other values are given to `compact` as they "
                "are."
            )
    return NonTrainable(_held(x, "non_trainable"))


def sorted_entries(function: Any, given: Mapping[str, Any]) -> dict[str, Entries]:
    """The keywords of `compact` by kind, as values that can be fields of a layer.

    Raises:
        TypeError: a container mixes kinds, a parameter is not a floating or complex array, or a
            constant is not hashable.
    """
    found: dict[str, list] = {kind: [] for kind in _HELD_AS}
    assigned = assigned_attributes(function)
    for name, value in given.items():
        kind = _kind_of_all(name, value)
        leaves = list(_leaves(value))
        if kind == "constants" and name in assigned and leaves and all(map(_is_number, leaves)):
            kind = "states"
        found[kind].append((name, _HELD_AS[kind](value, name)))
    return {kind: tuple(entries) for kind, entries in found.items()}


def children(tree: PyTree) -> Any:
    """Held layers nested in the dicts and tuples that `Layer.sublayers` may return."""
    if not isinstance(tree, tuple):
        return tree
    if _is_dict(tree):
        return {name: children(entry) for name, entry in tree}
    return tuple(map(children, tree))


def named(tree: PyTree, item: str) -> Entries | None:
    """The entries of a stored container by their names in `ps` and `st`; None for other values."""
    if not isinstance(tree, tuple):
        return None
    return tree if _is_dict(tree) else tuple((f"{item}_{i}", e) for i, e in enumerate(tree, 1))


def gathered(tree: tuple, seen: dict[str, Any]) -> Any:
    """The entries from `named`, as the function sees them: a list has become a tuple."""
    return Record(seen) if _is_dict(tree) else tuple(seen.values())


def start(tree: PyTree, key: Key, dtype: np.dtype) -> Any:
    """The initial arrays of a stored parameter or state."""
    if isinstance(tree, NonTrainable):
        tree = tree.value
    if (entries := named(tree, "array")) is not None:
        return Record(
            {
                name: start(entry, jax.random.fold_in(key, index), dtype)
                for index, (name, entry) in enumerate(entries)
            }
        )
    if isinstance(tree, InitFn):
        return _initialized(tree, key, dtype)
    if isinstance(tree, HeldArray):
        return tree.array()
    return tree if isinstance(tree, Static) else jnp.asarray(tree, _number_dtype(tree, dtype))


def view(tree: PyTree, entry: PyTree) -> Any:
    """A parameter or state as the function sees it."""
    if isinstance(tree, NonTrainable):
        tree = tree.value
    if (entries := named(tree, "array")) is None:
        return entry
    return gathered(tree, {name: view(inner, getattr(entry, name)) for name, inner in entries})


def constant(tree: PyTree) -> Any:
    """A constant as the function sees it."""
    if isinstance(tree, HeldDict):
        return Record({name: constant(entry) for name, entry in tree.entries})
    return tuple(map(constant, tree)) if type(tree) is tuple else tree


def _is_dict(tree: tuple) -> bool:
    return all(type(e) is tuple and len(e) == 2 and isinstance(e[0], str) for e in tree)


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | Record):
        value = value.values()
    elif not isinstance(value, list | tuple):
        yield value
        return
    for entry in value:
        yield from _leaves(entry)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.number | np.bool_)


def _kind_of_all(name: str, value: Any) -> str:
    kinds = {_kind(leaf) for leaf in _leaves(value)}
    if len(kinds) > 1:
        raise TypeError(
            f"`compact` expects the entries of `{name}` to be of one kind, got "
            f"{' and '.join(sorted(kinds))} in {value!r}. Give each kind a keyword of its own."
        )
    return kinds.pop() if kinds else "constants"


def _kind(leaf: Any) -> str:
    if is_layer(leaf):
        return "layers"
    if isinstance(leaf, InitFn):
        return f"{leaf.kind}s"
    if isinstance(leaf, NonTrainable | Static):
        return "states"
    return "parameters" if _is_array(leaf) else "constants"


def _held(value: Any, name: str) -> Any:
    """`value` with its arrays, lists and dicts made hashable; `name` is for messages."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        value = value._asdict()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, Mapping | Record):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(
                f"`{name}` expects a dict whose keys are strings, got {list(value)}. They are the "
                "names of its entries in the trees."
            )
        return tuple((key, _held(entry, name)) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return tuple(_held(entry, name) for entry in value)
    return _held_array(value, f"`{name}`") if _is_array(value) else value


def _held_array(value: Any, subject: str) -> HeldArray:
    if isinstance(value, Tracer):
        raise TypeError(
            f"{subject} is a traced array, which cannot be a part of a layer. Make the layer "
            "outside of jit, grad and vmap, or pass the array with the input."
        )
    if not jnp.issubdtype(value.dtype, jnp.number) and value.dtype != jnp.bool_:
        raise TypeError(
            f"{subject} expects numbers, got an array of {value.dtype}. A random key is kept in "
            'the state by init_fn(lambda key, dtype: key, "state").'
        )
    require_exact_numbers(value, subject)
    native = np.asarray(value, value.dtype.newbyteorder("="))
    return HeldArray(native.tobytes(), native.dtype.name, native.shape)


def _held_parameter(value: Any, name: str) -> Any:
    for leaf in _leaves(value):
        if _is_array(leaf) and not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise TypeError(
                f"`compact` expects the parameter `{name}` to be floating or complex, so that it "
                f"has a gradient, got {describe(leaf)}. Write {name}=non_trainable(...) to keep it "
                "in the state."
            )
    return _held(value, name)


def _held_constant(value: Any, name: str) -> Any:
    """A constant, with its lists and dicts made hashable."""
    if isinstance(value, Mapping | Record):
        return HeldDict(tuple((key, _held_constant(e, name)) for key, e in value.items()))
    if _is_hashable(value):
        return value
    if isinstance(value, list | tuple):
        return tuple(_held_constant(entry, name) for entry in value)
    raise TypeError(
        f"`compact` expects the constant `{name}` to be hashable, got {type(value).__name__}. "
        "Use a tuple of Python numbers or a function, or give arrays a keyword of their own."
    )


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


_HELD_AS = {
    "layers": _held,
    "parameters": _held_parameter,
    "states": _held,
    "constants": _held_constant,
}


def _initialized(held: InitFn, key: Key, dtype: np.dtype) -> jax.Array:
    value = held.function(key, dtype)
    require_exact_numbers(value, "what the function of `init_fn` returned")
    if not _is_array(value):
        raise TypeError(
            f"`init_fn` expects its function to return an array, got {describe(value)}. Give "
            "several arrays a keyword each."
        )
    if held.kind == "parameter" and not jnp.issubdtype(value.dtype, jnp.inexact):
        raise TypeError(
            f"`init_fn` expects a parameter to be floating or complex, got {describe(value)}. "
            'Write init_fn(..., "state") to make it a state.'
        )
    return own_array(value)


def _number_dtype(number: Any, dtype: np.dtype) -> Any:
    if isinstance(number, bool | np.bool_):
        return jnp.bool_
    if isinstance(number, int | np.integer):
        return jnp.int32
    is_real = not jnp.issubdtype(dtype, jnp.complexfloating)
    if isinstance(number, complex) and is_real:
        return jnp.complex128 if jnp.finfo(dtype).bits == 64 else jnp.complex64
    return dtype
