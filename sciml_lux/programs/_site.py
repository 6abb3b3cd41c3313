"""Where an equation is: the programs around it, the user's line, and the library's."""

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
    """Where an equation is: the programs around it, the user's line, and the library's.

    Attributes:
        path: the programs around it, such as `jit/scan`; empty at the top.
        line: the user's source line, "?" if unknown.
        library: the line of this library that it came from; empty if there is none.

    Example:
        >>> import jax
        >>> from sciml_lux.programs import walk
        >>> visits = walk(jax.make_jaxpr(jax.jit(jax.numpy.sin))(0.5))
        >>> [visit.site.path for visit in visits]
        ['', 'jit(sin)']
    """

    path: str
    line: str
    library: str


def site_of(equation: JaxprEqn, around: Site) -> Site:
    """The site of `equation`; its line is that of the call around it where it has none."""
    line, library = _lines(equation)
    return Site(around.path, around.line if line == "?" else line, library or around.library)


def _lines(equation: JaxprEqn) -> tuple[str, str]:
    """The user's line and the line of this library, or "?" and "".

    The traceback of an equation is not a stable interface of JAX: without it the same is found,
    and only the lines are missing.
    """
    try:
        frames = equation.source_info.traceback.frames  # pyright: ignore[reportOptionalMemberAccess]
    except AttributeError:
        return "?", ""
    library = ""
    for frame in frames:
        if frame.file_name.startswith(_SKIPPED):
            continue
        if not frame.file_name.startswith(_HERE + os.sep):
            return _line(frame.file_name, frame.line_num), library
        library = library or _line(frame.file_name, frame.line_num)
    return "?", library


def _line(file: str, number: int) -> str:
    return f"{os.path.relpath(file) if os.path.isabs(file) else file}:{number}"
