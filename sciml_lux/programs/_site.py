"""Where an equation stands: enclosing programs, the user's line, and the library's."""

import contextlib
import functools
import os
from typing import NamedTuple

import jax

from ._jax import JaxprEqn

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_JAX = os.path.dirname(os.path.abspath(jax.__file__))
_SITE = os.path.dirname(_JAX)
_LIBRARIES = ("jax", "jaxlib", "equinox", "diffrax", "optax", "lineax", "optimistix", "jaxtyping")
_SKIPPED = (
    *(os.path.join(_SITE, name) + os.sep for name in _LIBRARIES),
    *(os.path.join(_HERE, name) + os.sep for name in ("programs", "precision", "core")),
    # Decorators of JAX pass through these.
    contextlib.__file__,
    functools.__file__,
    "<string>",
)


class Site(NamedTuple):
    """Where an equation stands: enclosing programs, the user's line, and the library's."""

    path: str
    line: str
    library: str


def site_of(equation: JaxprEqn, around: Site) -> Site:
    """The site of `equation`; its line is that of the call around it where it has none."""
    line, library = _lines(equation)
    return Site(around.path, around.line if line == "?" else line, library or around.library)


def _lines(equation: JaxprEqn) -> tuple[str, str]:
    """The user's line and the line of this library, or "?" and "".

    The traceback of an equation is no stable interface of JAX: without it everything is still
    found, with less said of where.
    """
    try:
        frames = equation.source_info.traceback.frames  # pyright: ignore[reportOptionalMemberAccess]
    except AttributeError:
        return "?", ""
    user, library = "?", ""
    for frame in frames:
        file = frame.file_name
        if file.startswith(_SKIPPED):
            continue
        text = f"{os.path.relpath(file) if os.path.isabs(file) else file}:{frame.line_num}"
        if file.startswith(_HERE + os.sep):
            library = library or text
            continue
        user = text
        break
    return user, library
