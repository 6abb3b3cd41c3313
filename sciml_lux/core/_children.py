"""The children of a layer: listing them by dotted name, and replacing them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ._contract import layer_name
from ._static_value import sealed_copy
from ._types import Children, LayerLike


def named(children: Children) -> Any:
    """Children by name: those in a tuple or list are `layer_1`, `layer_2`, ...

    Example:
        >>> named(("first", "second"))
        {'layer_1': 'first', 'layer_2': 'second'}
    """
    if isinstance(children, tuple | list):
        return {f"layer_{i}": child for i, child in enumerate(children, start=1)}
    return children


def flat_children(children: Children, prefix: str = "") -> dict[str, Any]:
    """Children by dotted name, from dicts and tuples at any depth.

    Example:
        >>> from sciml_lux import nn
        >>> flat_children({"terms": {"loss": nn.Dense(1, 1)}, "rest": (nn.NoOpLayer(),)})
        {'terms.loss': Dense(1, 1), 'rest.layer_1': NoOpLayer()}
    """
    flat = {}
    for name, child in named(children).items():
        nested = isinstance(child, dict | tuple)
        flat |= flat_children(child, f"{prefix}{name}.") if nested else {f"{prefix}{name}": child}
    return flat


def with_children(layer: LayerLike, children: Children) -> Any:
    """`layer` with other children; the old ones are found in its fields by name and identity.

    Raises:
        ValueError: the names are not those of `layer.sublayers()`.
        TypeError: a child to be replaced is not in the fields exactly once.
    """
    old, new = flat_children(layer.sublayers()), flat_children(children)
    if old.keys() != new.keys():
        raise ValueError(
            f"`{layer_name(layer)}.with_sublayers` expects the layers {_listed(old)}, got "
            f"{_listed(new)}. Pass all of them under the names of sublayers()."
        )
    changed = {name: child for name, child in new.items() if child != old[name]}
    if not changed:
        return layer
    fields = {name: getattr(layer, name) for name in layer._field_names}
    slots = dict(_slots(fields.items()))
    places = _places(old, slots)
    for name in changed:
        unclaimed = (slot for slot in slots if slot not in places.values())
        if name not in places or any(slots[slot] is old[name] for slot in unclaimed):
            raise TypeError(
                f"`{layer_name(layer)}` cannot take another layer as `{name}`: its fields hold it "
                f"{'more than once' if name in places else 'nowhere'}. Define "
                "`with_sublayers(self, children)` to build the layer anew."
            )
    replacing = {places[name]: child for name, child in changed.items()}
    return sealed_copy(
        layer, {name: _replaced(value, name, replacing) for name, value in fields.items()}
    )


def _places(children: dict[str, LayerLike], slots: dict[str, LayerLike]) -> dict[str, str]:
    """The place of each child in the fields; one layer may be several children."""
    places: dict[str, str] = {}

    def claim(fits: Callable[[str, str], bool]) -> None:
        for name, child in children.items():
            free = (s for s, found in slots.items() if found is child and s not in places.values())
            if name not in places and (slot := next((s for s in free if fits(s, name)), None)):
                places[name] = slot

    claim(lambda slot, name: slot == name)
    claim(lambda slot, name: slot.endswith(f".{name}"))
    claim(lambda slot, name: True)
    return places


def _slots(entries: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, LayerLike]]:
    """Every place in the fields that holds a layer, by dotted name."""
    for path, value in entries:
        if hasattr(value, "initial_parameters"):
            yield path, value
        elif isinstance(value, tuple):
            yield from _slots((f"{path}.{name}", entry) for name, entry in _labelled(value))


def _labelled(value: tuple) -> list[tuple[str, Any]]:
    """The entries of a tuple with their names: pairs of name and value have their own."""
    return [
        e if _is_pair(e) else default
        for e, default in zip(value, named(value).items(), strict=True)
    ]


def _is_pair(entry: object) -> bool:
    return type(entry) is tuple and len(entry) == 2 and isinstance(entry[0], str)


def _replaced(value: object, path: str, replacing: dict[str, LayerLike]) -> Any:
    if path in replacing:
        return replacing[path]
    if not isinstance(value, tuple) or not any(slot.startswith(f"{path}.") for slot in replacing):
        return value
    new = [
        (entry[0], _replaced(part, f"{path}.{name}", replacing))
        if _is_pair(entry)
        else _replaced(part, f"{path}.{name}", replacing)
        for entry, (name, part) in zip(value, _labelled(value), strict=True)
    ]
    return type(value)(*new) if hasattr(value, "_fields") else tuple(new)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
