"""What is added to an error inside a layer: which layer it was, and what to do."""

from collections.abc import Mapping

import jax
from jaxtyping import PyTree

from ._path import subject
from ._record import MissingEntryError, Record
from ._types import LayerLike, Parameters, States

SIGNATURE = "y, st = model(x, ps, st)"


def explain(error: Exception, layer: LayerLike, ps: Parameters, st: States) -> None:
    """Add to `error`, which the call of `layer` raised, the layer and a remedy; done in place."""
    if isinstance(error, MissingEntryError):
        explained = _explain_missing(error, layer, ps, st)
    else:
        explained = isinstance(error, AttributeError) and _explain_kind(error, layer, ps, st)
    if not explained:
        _note(error, layer)


def _note(error: Exception, layer: LayerLike) -> None:
    """Name the innermost layer; the notes that JAX adds do not."""
    noted = any(note.startswith("while calling `") for note in getattr(error, "__notes__", ()))
    if not noted and subject(layer) not in str(error):
        error.add_note(f"while calling {subject(layer)}: {layer!r}")


def _explain_missing(
    error: MissingEntryError, layer: LayerLike, ps: Parameters, st: States
) -> bool:
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


def _proves_swap(tree: PyTree, entry: PyTree) -> bool:
    """Whether an entry in the other tree proves that the two were swapped.

    A container has its children in both trees, so a subtree proves it only if it holds arrays and
    the tree without the entry holds none.
    """
    return not isinstance(entry, Record) or bool(
        jax.tree.leaves(entry) and not jax.tree.leaves(tree) and len(tree)
    )


def _explain_kind(error: AttributeError, layer: LayerLike, ps: Parameters, st: States) -> bool:
    """Say what to do with a tree without attributes, such as a dict inside a user's own tree."""
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
