"""user_stacklevel: warnings that name the line of the user's that they are about."""

import sys

_INSIDE = frozenset({"sciml_lux", "jax", "contextlib"})


def user_stacklevel() -> int:
    """The `stacklevel` of the nearest caller outside this package and JAX."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level
