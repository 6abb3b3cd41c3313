"""compiled: programs that are looked up as in `jax.jit`, and freed with what they were made from.

A compiled function that closes over an objective, a model and an optimiser keeps all three alive,
and a dict of such functions would never free them. So a program closes over none of the three: it
is looked up by weak keys, reads the static values from the call that traces it, and is dropped when
one of them is freed.
"""

import functools
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ._recompilation import RecompilationWarning, note_tracing
from ._user_stacklevel import user_stacklevel
from ._weak_key import NotReferableError, references_of, weak_key

Build = Callable[..., Callable[..., Any]]


class Compiled:
    """A program with the static values of a call, as a function of arrays."""

    __slots__ = ("__weakref__", "_calls", "_run", "_statics")

    def __init__(self, program: "_Program", statics: tuple[object, ...]) -> None:
        # A reference of its own: the program is dropped with the equal values it was made from.
        self._run, self._calls, self._statics = program.run, program.calls, statics

    def __call__(self, *arguments: PyTree) -> Any:
        """What the program computes of `arguments`."""
        return self._within(self._run, arguments)

    def trace(self, *arguments: PyTree) -> Any:
        """The program traced for `arguments`, as by `jax.jit`; a call then traces no more."""
        return self._within(self._run.trace, arguments)

    def _within(self, run: Callable[..., Any], arguments: tuple[PyTree, ...]) -> Any:
        self._calls.append(self._statics)
        try:
            return run(*arguments)
        finally:
            self._calls.pop()


class _Program:
    """A compiled function, until something that it was made from is freed.

    Attributes:
        run: `jax.jit` of what `build` makes from the static values of a call.
        calls: the static values of the calls under way; all equal, in every thread.
    """

    __slots__ = ("_watched", "calls", "run")

    def __init__(self, build: Build, donate: bool, references: tuple[weakref.ref, ...]) -> None:
        calls: list[tuple[Any, ...]] = []

        def run(*arguments: PyTree) -> Any:
            statics = calls[-1]
            note_tracing(build, statics, arguments)
            return build(*statics)(*arguments)

        self.calls = calls
        self.run: Any = jax.jit(run, donate_argnums=(0,) if donate else ())
        made_of = [reference() for reference in references]
        self._watched = [weakref.ref(part, self._drop) for part in made_of if part is not None]

    def _drop(self, _: object) -> None:
        self.run, self._watched = None, []


@functools.lru_cache(maxsize=512)
def _program(build: Build, donate: bool, *keys: Any) -> _Program:
    return _Program(build, donate, tuple(r for key in keys for r in references_of(key)))


def compiled(build: Build) -> Callable[..., Compiled]:
    """`build`, which makes a function of arrays from static values, so that it makes compiled ones.

    It is called with the same static values, and compiles once for equal ones: see `weak_key`. A
    compiled function is freed when one of the static values, or of what they hold, is freed, and
    with it the arrays that it closes over. With `donate=True` the function gives the memory of its
    first argument to its result.

    An object that Python cannot refer to weakly is compiled at every call, with a
    `RecompilationWarning` that names the remedy.
    """

    @functools.wraps(build)
    def look_up(*statics: object, donate: bool = False) -> Compiled:
        try:
            program = _program(build, donate, *map(weak_key, statics))
        except NotReferableError as error:
            warnings.warn(
                f"{error}, so it is compiled at every call. Add '__weakref__' to them.",
                RecompilationWarning,
                stacklevel=user_stacklevel(),
            )
            program = _Program(build, donate, ())

        return Compiled(program, statics)

    return look_up
