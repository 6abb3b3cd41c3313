"""Where an equation is: the programs around it, the user's line, and the library's."""

import contextlib
import dataclasses
import functools
import os

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


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """Where an equation is: the programs around it, the user's line, and the library's.

    Lines are looked up when they are asked for: programs have many equations, and few are named.

    Attributes:
        path: the programs around it, such as `jit/scan`; empty at the top.
        equation: the equation; None for a program.
        around: the site of the call around it, whose lines it has where it has none.

    Example:
        >>> import jax
        >>> from sciml_lux.programs import walk
        >>> visits = walk(jax.make_jaxpr(jax.jit(jax.numpy.sin))(0.5))
        >>> [visit.site.path for visit in visits]
        ['', 'jit(sin)']
    """

    path: str = ""
    equation: JaxprEqn | None = None
    around: "Site | None" = None

    def of(self, equation: JaxprEqn) -> "Site":
        """The site of an equation of the program that is here."""
        return Site(self.path, equation, self)

    def inside(self, name: str) -> "Site":
        """The site of a program inside the equation that is here."""
        return Site("/".join(filter(None, [self.path, name])), self.equation, self.around)

    @property
    def line(self) -> str:
        """The user's source line, "?" if unknown."""
        line, _ = self._lines
        return self.around.line if line == "?" and self.around else line

    @property
    def library(self) -> str:
        """The line of this library that it came from; empty if there is none."""
        _, library = self._lines
        return self.around.library if not library and self.around else library

    @functools.cached_property
    def _lines(self) -> tuple[str, str]:
        return _lines(self.equation) if self.equation else ("?", "")


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
        file = (
            os.path.relpath(frame.file_name) if os.path.isabs(frame.file_name) else frame.file_name
        )
        line = f"{file}:{frame.line_num}"
        if not frame.file_name.startswith(_HERE + os.sep):
            return line, library
        library = library or line
    return "?", library
