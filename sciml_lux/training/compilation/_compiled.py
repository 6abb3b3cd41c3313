"""compiled: programs that are looked up as `jax.jit` does, and are gone with what they are of.

A compiled function that closes over an objective, a model and an optimiser keeps all three, so it
would have to lie where each of them can free it, which no dict offers. So it closes over none: it
is looked up by keys that hold nothing, reads the static values from the call that traces it, and is
dropped when one of them is gone.
"""

import functools
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ._recompilation import RecompilationWarning, note_tracing, user_stacklevel
from ._weak_key import NotReferableError, references_of, weak_key

Build = Callable[..., Callable[..., Any]]


class Compiled:
    """A program with the static values of a call, as a function of arrays."""

    __slots__ = ("__weakref__", "_calls", "_run", "_statics")

    def __init__(self, program: "_Program", statics: tuple[object, ...]) -> None:
        # Its own reference: the program may be dropped with equal values, of which it was made.
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
    """A compiled function, until something that it was made of is gone.

    Attributes:
        run: `jax.jit` of what `build` makes of the static values of a call.
        calls: the static values of all calls at this moment; equal ones, whatever the thread.
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
    """`build`, which makes a function of arrays from static values, as one of compiled functions.

    It is called with the same static values, and compiles once for equal ones: see `weak_key`.
    What it compiled is freed when one of them, or of what they hold, is gone; the arrays that the
    function closes over are freed with it. With `donate=True` the function hands the memory of its
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
