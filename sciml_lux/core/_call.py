"""What happens around every call of a layer: the contract is checked and errors get a path."""

import itertools
from collections.abc import Callable, Hashable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..precision import match_input, require_x64_for
from ._record import MissingEntryError, Record
from ._tree import StateStructureError, first_difference

_SIGNATURE = "y, st = model(x, ps, st)"


class Frame(NamedTuple):
    """One layer being called."""

    layer: Any
    ps: Any
    st: Any


class Observation(NamedTuple):
    """One finished layer call, as `summary` sees it."""

    path: str
    layer: Any
    ps: Any
    y: Any
    around: tuple[Any, ...]


_frames: ContextVar[tuple[Frame, ...]] = ContextVar("frames", default=())
observer: ContextVar[Callable[[Observation], None] | None] = ContextVar("observer", default=None)


def layer_name(layer: Any) -> str:
    """The name by which messages and tables call a layer: its `display_name`, or its type's."""
    return getattr(layer, "display_name", None) or type(layer).__name__


def layer_path() -> str:
    """The path of the layer being called, such as `encoder.layer_2`; empty for the outermost.

    Names come from where the layer's parameters or states lie in those of the layer around it, so
    that authors of containers do nothing for it.
    """
    frames = _frames.get()
    names = [_name_in(p, c) for p, c in itertools.pairwise(frames)]
    return ".".join(name for name in names if name)


def outermost() -> Hashable:
    """The model being called, or its identity where it has no hash."""
    model = _frames.get()[0].layer
    return model if isinstance(model, Hashable) else id(model)


def subject(layer: Any) -> str:
    """How a message opens: `` `Dense` `` or `` `Dense` (at `layer_2`) ``."""
    path = layer_path()
    return f"`{layer_name(layer)}` (at `{path}`)" if path else f"`{layer_name(layer)}`"


def _name_in(parent: Frame, child: Frame) -> str:
    passes_through = getattr(parent.layer, "wrapped", None) is child.layer
    if passes_through or child.ps is parent.ps or child.layer is parent.layer:
        return ""  # A wrapper's child has its tree, and so no name of its own.
    for tree, part in ((parent.ps, child.ps), (parent.st, child.st)):
        if not jax.tree.leaves(part) and not isinstance(part, Record):
            continue  # `()` and None are the same object everywhere.
        for name, entry in _entries(tree):
            if entry is part:
                return name
            for inner, nested in _entries(entry):
                if nested is part:
                    return f"{name}.{inner}"
    sublayers = getattr(parent.layer, "sublayers", dict)()
    return _name_among(sublayers, child.layer) or layer_name(child.layer)


def _name_among(children: Any, layer: Any) -> str:
    """The dotted name of `layer` among children nested in dicts and tuples, or nothing."""
    if isinstance(children, tuple):
        children = {f"layer_{i}": child for i, child in enumerate(children, start=1)}
    for name, child in children.items():
        if child is layer:
            return name
        inner = _name_among(child, layer) if isinstance(child, dict | tuple) else ""
        if inner:
            return f"{name}.{inner}"
    return ""


def _entries(tree: Any) -> list[tuple[str, Any]]:
    if isinstance(tree, Record | Mapping):
        return list(tree.items())
    if hasattr(type(tree), "as_record"):
        return [(name, tree[name]) for name in tree]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(name, getattr(tree, name)) for name in tree._fields]  # pyright: ignore[reportAttributeAccessIssue]
    return list(getattr(tree, "__dict__", {}).items())


def guarded_call(layer: Any, forward: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
    """`forward(x, ps, st)` of `layer`, with the contract checked around it.

    Everything here looks at types, shapes and dtypes: under `jit` it costs nothing at run time.

    Raises:
        TypeError: not three arguments, data that is no array, float64 NumPy data while x64 is
            off, a result that is not a pair.
        AttributeError: a parameter or state is missing, or `ps` and `st` are swapped.
        StateStructureError: the state came out with another structure, shape or dtype.
    """
    x, ps, st = _three(layer, args, kwargs)
    frames = _frames.get()
    outermost = not frames
    if outermost:
        _check_data(layer, x, ps, st)
    token = _frames.set((*frames, Frame(layer, ps, st)))
    try:
        output = forward(_matched(layer, x, ps, st), ps, st)
        if not (isinstance(output, tuple) and len(output) == 2):
            raise TypeError(
                f"{subject(layer)} must return the pair (y, st), got {type(output).__name__}. "
                f"The contract is {_SIGNATURE}."
            )
        if (observe := observer.get()) is not None:
            around = tuple(frame.layer for frame in frames)
            observe(Observation(layer_path(), layer, ps, output[0], around))
    except AttributeError as error:
        if not isinstance(error, MissingEntryError):
            _explain_type(error, layer, ps, st)
        elif not _explain_missing(error, layer, ps, st):
            _note(error, layer)
        raise
    except Exception as error:
        _note(error, layer)
        raise
    finally:
        _frames.reset(token)
    if outermost and output[1] is not st:
        _check_state(layer, st, output[1])
    return output


def _three(layer: Any, args: tuple, kwargs: dict) -> tuple[Any, Any, Any]:
    names = ("x", "ps", "st")
    given = dict(zip(names, args, strict=False)) | kwargs
    if len(args) > 3 or set(given) != set(names) or len(args) + len(kwargs) != 3:
        got = ", ".join([*(f"argument {i + 1}" for i in range(len(args))), *kwargs]) or "none"
        raise TypeError(
            f"`{layer_name(layer)}` is called with three arguments, {_SIGNATURE}, got "
            f"{len(args) + len(kwargs)} ({got}). Make `ps` and `st` with "
            "ps, st = setup(key, model)."
        )
    return given["x"], given["ps"], given["st"]


def _matched(layer: Any, x: Any, ps: Any, st: Any) -> Any:
    """`x` treated by the policy for dtypes, where the layer has numbers of its own."""
    if _takes_indices(layer):
        return x
    learned, leaves_floats = _own_floats(ps), getattr(layer, "leaves_floats_inside", False)
    # A layer may have nothing to learn and yet numbers, such as frequencies or statistics; of what
    # integers mean to it, they say nothing.
    own = learned or ([] if leaves_floats else _own_floats(st))
    if not own:
        return x
    dtype = max(own, key=lambda dtype: jnp.finfo(dtype).bits)
    only = "integers" if leaves_floats else "" if learned else "floats"
    return match_input(x, dtype, subject(layer), model=outermost(), only=only)


def _own_floats(tree: Any) -> list[Any]:
    own = [entry.dtype for _, entry in _entries(tree) if hasattr(entry, "shape")]
    return [dtype for dtype in own if jnp.issubdtype(dtype, jnp.inexact)]


def _takes_indices(layer: Any) -> bool:
    """Whether it takes indices itself, or passes its input on to one that does."""
    if getattr(layer, "takes_indices", False):
        return True
    inner = getattr(layer, "wrapped", None)
    return inner is not None and _takes_indices(inner)


def _check_data(layer: Any, x: Any, ps: Any, st: Any) -> None:
    require_x64_for(x, "`x`")
    require_x64_for(ps, "`ps`")
    require_x64_for(st, "`st`")
    leaves = jax.tree.leaves(x)
    if leaves and all(isinstance(leaf, int | float | complex) for leaf in leaves):
        raise TypeError(
            f"`{layer_name(layer)}` expects `x` to be an array, got {type(x).__name__} of Python "
            "numbers. Convert it: jnp.asarray(x, dtype)."
        )


def _check_state(layer: Any, before: Any, after: Any) -> None:
    difference = first_difference(before, after)
    if difference:
        raise StateStructureError(
            f"`{layer_name(layer)}` returned a state unlike the one it got, {difference}. Return "
            "`st` itself or st | {'name': value} with the same shapes and dtypes."
        )


def _note(error: Exception, layer: Any) -> None:
    """Name the innermost layer; JAX has notes of its own, which say nothing of layers."""
    noted = any(note.startswith("while calling `") for note in getattr(error, "__notes__", ()))
    if not noted and subject(layer) not in str(error):
        error.add_note(f"while calling {subject(layer)}: {layer!r}")


def _proves_swap(tree: Any, entry: Any) -> bool:
    """Whether an entry found in the other tree shows that the two were swapped.

    A container has its children in both trees, so a subtree shows it only where it holds arrays
    and the tree that lacks it holds none.
    """
    return not isinstance(entry, Record) or bool(
        jax.tree.leaves(entry) and not jax.tree.leaves(tree) and len(tree)
    )


def _explain_type(error: AttributeError, layer: Any, ps: Any, st: Any) -> None:
    """Say what to do about trees that have no attributes, of which plain dicts are the first."""
    kind = next((k for k, tree in (("ps", ps), ("st", st)) if error.obj is tree), None)
    if kind is None or isinstance(error.obj, Record):
        _note(error, layer)
        return
    remedy = (
        "Convert it: lux.as_record(tree)"
        if isinstance(error.obj, Mapping)
        else ("Pass the trees that setup(key, model) made for this model")
    )
    error.args = (
        f"{subject(layer)} expects `{kind}` to have the entry `{error.name}` as an attribute, got "
        f"{type(error.obj).__name__}. {remedy}; the call is {_SIGNATURE}.",
    )


def _explain_missing(error: MissingEntryError, layer: Any, ps: Any, st: Any) -> bool:
    """Say whose entry is missing and why; done once, by the innermost layer that owns the tree."""
    if error.record is None or (error.record is not ps and error.record is not st):
        return error.record is None
    name = str(error.name)
    kind, other = ("parameter", st) if error.record is ps else ("state", ps)
    if isinstance(other, Record) and name in other and _proves_swap(error.record, other[name]):
        reason = f"`ps` and `st` are swapped: call {_SIGNATURE}"
    else:
        has = ", ".join(f"`{entry}`" for entry in error.record) or "none"
        reason = f"it got {has}. Pass the trees that setup(key, model) made for this model"
    error.args = (f"{subject(layer)} needs the {kind} `{name}`, but {reason}.",)
    error.record = None
    return True
