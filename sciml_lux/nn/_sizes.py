"""Sizes among the fields of a layer."""

from typing import Any

import numpy as np

from ..core import layer_name


def size_fault(layer: Any, *names: str) -> Exception | None:
    """The error to raise if a field is no integer of at least 1, or no tuple of such; else None."""
    for name in names:
        value = getattr(layer, name)
        sizes = value if isinstance(value, tuple) else (value,)
        subject = f"`{layer_name(layer)}` expects `{name}` to be"
        if not sizes:
            return ValueError(f"{subject} at least one size, got ().")
        if not all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sizes):
            kind = "integers" if isinstance(value, tuple) else "an integer"
            return TypeError(f"{subject} {kind}, got {value!r}.")
        if min(sizes) < 1:
            return ValueError(f"{subject} at least 1, got {value!r}.")
    return None
