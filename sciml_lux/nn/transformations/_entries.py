"""Entries of trees of records by path: read, split and merge."""

from collections.abc import Iterable, Mapping

from jaxtyping import PyTree

from ...core import Record, as_record

Path = tuple[str, ...]


def as_paths(names: str | Iterable[str]) -> tuple[Path, ...]:
    """`"layer_1.weight"`, or several such names, as tuples of names.

    Raises:
        TypeError: something else.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"parameters are named by dotted paths such as 'layer_1.weight', got {names!r}."
        )
    return tuple(tuple(name.split(".")) for name in names)


def dotted(path: Path) -> str:
    """The path in its dotted form."""
    return ".".join(path)


def starts_with(path: Path, start: Path) -> bool:
    """Whether `path` is `start` or lies within it."""
    return path[: len(start)] == start


def records(tree: PyTree) -> PyTree:
    """A tree in which entries can be replaced; a flat view or NamedTuple as a `Record`."""
    if isinstance(tree, Record | Mapping):
        return tree
    return tree.as_record() if hasattr(type(tree), "as_record") else as_record(tree)


def has_entry(tree: PyTree, path: Path) -> bool:
    """Whether there is an entry at `path`, a leaf or a tree."""
    for name in path:
        if not isinstance(tree, Record | Mapping) or name not in tree:
            return False
        tree = tree[name]
    return True


def entry(tree: PyTree, path: Path) -> PyTree:
    """The entry at `path`."""
    for name in path:
        tree = tree[name]
    return tree


def check_path(subject: str, tree: PyTree, path: Path) -> None:
    """Raise unless `tree`, the parameters of a layer, has an entry at `path`.

    Raises:
        KeyError: there is none; the message lists the entries that exist.
    """
    for depth in range(len(path)):
        if has_entry(tree, path[: depth + 1]):
            continue
        node = entry(tree, path[:depth])
        names = node if isinstance(node, Record | Mapping) else ()
        known = ", ".join(f"`{name}`" for name in names) or "none"
        holder = f"`{dotted(path[:depth])}` has" if depth else "there is"
        raise KeyError(f"{subject} finds no parameter `{dotted(path)}`; {holder} {known}.")


def with_entry(tree: PyTree, path: Path, value: PyTree) -> PyTree:
    """`tree` with `value` at `path`: in the place of the old entry, or appended."""
    if not path:
        return value
    name, *rest = path
    inner = with_entry(tree[name] if name in tree else Record(), tuple(rest), value)
    return tree | {name: inner}


def without(tree: PyTree, paths: Iterable[Path]) -> PyTree:
    """`tree` without the entries at `paths`."""
    paths = set(paths)
    kept = {}
    for name, value in tree.items():
        inner = {path[1:] for path in paths if path[0] == name}
        if () not in inner:
            kept[name] = without(value, inner) if inner else value
    return kept if isinstance(tree, Mapping) else Record(kept)


def only(tree: PyTree, paths: Iterable[Path]) -> PyTree:
    """`tree` with only the entries at `paths`, in the order of `tree`."""
    paths = set(paths)
    kept = {}
    for name, value in tree.items():
        inner = {path[1:] for path in paths if path[0] == name}
        if inner:
            kept[name] = value if () in inner else only(value, inner)
    return kept if isinstance(tree, Mapping) else Record(kept)


def merged(tree: PyTree, other: PyTree) -> PyTree:
    """The entries of both; two trees under the same name are merged."""
    new = {
        name: merged(tree[name], value) if name in tree else value for name, value in other.items()
    }
    return tree | new


def ordered(tree: PyTree, like: PyTree) -> PyTree:
    """`tree` with its entries in the order of `like`."""
    if not isinstance(like, Record | Mapping):
        return tree
    new = {name: ordered(tree[name], value) for name, value in like.items()}
    return new if isinstance(tree, Mapping) else Record(new)
