"""What an error inside a layer is made to say: whose it is, and what to do."""

from collections.abc import Mapping
from typing import Any

import jax

from ._path import subject
from ._record import MissingEntryError, Record

SIGNATURE = "y, st = model(x, ps, st)"


def explain(error: Exception, layer: Any, ps: Any, st: Any) -> None:
    """Say in `error`, which the call of `layer` raised, what a reader needs; done in place."""
    if isinstance(error, MissingEntryError):
        explained = _explain_missing(error, layer, ps, st)
    else:
        explained = isinstance(error, AttributeError) and _explain_kind(error, layer, ps, st)
    if not explained:
        _note(error, layer)


def _note(error: Exception, layer: Any) -> None:
    """Name the innermost layer; JAX has notes of its own, which say nothing of layers."""
    noted = any(note.startswith("while calling `") for note in getattr(error, "__notes__", ()))
    if not noted and subject(layer) not in str(error):
        error.add_note(f"while calling {subject(layer)}: {layer!r}")


def _explain_missing(error: MissingEntryError, layer: Any, ps: Any, st: Any) -> bool:
    """Say whose entry is missing and why; done once, by the innermost layer that owns the tree."""
    if error.record is None or (error.record is not ps and error.record is not st):
        return error.record is None
    name = str(error.name)
    kind, other = ("parameter", st) if error.record is ps else ("state", ps)
    if isinstance(other, Record) and name in other and _proves_swap(error.record, other[name]):
        reason = f"`ps` and `st` are swapped: call {SIGNATURE}"
    else:
        has = ", ".join(f"`{entry}`" for entry in error.record) or "none"
        reason = f"it got {has}. Pass the trees that setup(key, model) made for this model"
    error.args = (f"{subject(layer)} needs the {kind} `{name}`, but {reason}.",)
    error.record = None
    return True


def _proves_swap(tree: Any, entry: Any) -> bool:
    """Whether an entry found in the other tree shows that the two were swapped.

    A container has its children in both trees, so a subtree shows it only where it holds arrays
    and the tree that lacks it holds none.
    """
    return not isinstance(entry, Record) or bool(
        jax.tree.leaves(entry) and not jax.tree.leaves(tree) and len(tree)
    )


def _explain_kind(error: AttributeError, layer: Any, ps: Any, st: Any) -> bool:
    """Say what to do about a tree without attributes, such as a dict inside a user's own tree."""
    kind = next((k for k, tree in (("ps", ps), ("st", st)) if error.obj is tree), None)
    if kind is None or isinstance(error.obj, Record):
        return False
    remedy = (
        "Convert it: lux.as_record(tree)"
        if isinstance(error.obj, Mapping)
        else "Pass the trees that setup(key, model) made for this model"
    )
    error.args = (
        f"{subject(layer)} expects `{kind}` to have the entry `{error.name}` as an attribute, got "
        f"{type(error.obj).__name__}. {remedy}; the call is {SIGNATURE}.",
    )
    return True
