"""RecompilationWarning: the same code is compiled again, as another function object."""

import functools
import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jaxtyping import PyTree

from ._settings import closed_over
from ._structure import Structure
from ._user_stacklevel import user_stacklevel
from ._weak_key import Identity, NotReferableError, entries, weak_key


class RecompilationWarning(UserWarning):
    """The same code is compiled again for the same model, shapes and dtypes.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> from sciml_lux import nn, setup, training
        >>> def scaled_loss(scale):
        ...     def objective(model, ps, st, data):
        ...         y, st = model(data, ps, st)
        ...         return scale * jnp.sum(y), st, {}
        ...     return objective
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.5))
        >>> data = jnp.ones((2, 1), jnp.float32)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always", training.RecompilationWarning)
        ...     for scale in (1.0, 2.0):
        ...         _ = training.compute_gradients(
        ...             training.AutoReverse(), scaled_loss(scale), data, ts)
        >>> print(caught[0].message)
        `objective` (...) is compiled again for the same model, shapes and dtypes, because it is a
        new function object: functions are looked up by identity, as in `jax.jit`. Make it once, and
        pass what changes in `data`.
    """


def note_tracing(build: Callable[..., Any], statics: tuple[object, ...], arguments: PyTree) -> None:
    """Warn of code that was traced before for the same model and arguments, as another object."""
    try:
        _note(build, statics, arguments)
    except NotReferableError:
        return  # It is compiled at every call, of which `compiled` has warned.


def _note(build: Callable[..., Any], statics: tuple[object, ...], arguments: PyTree) -> None:
    others = [value for value in statics if not isinstance(value, Structure)]
    models = [weak_key(value.model) for value in statics if isinstance(value, Structure)]
    leaves = jax.tree.leaves(arguments)
    shapes = tuple((jax.numpy.shape(leaf), jax.numpy.result_type(leaf)) for leaf in leaves)
    plain = [value for value in others if not list(_codes(value))]
    signature = (build, *models, *map(weak_key, plain), shapes)
    owners: dict[tuple[types.CodeType, ...], list[Any]] = {}
    for codes, owner in (found for value in others for found in _codes(value)):
        owners.setdefault(codes, []).append(weak_key(owner))
    for codes, keys in owners.items():
        last, code = _last(tuple(map(Identity, codes)), signature), codes[0]
        if last and last != keys:
            warnings.warn(
                f"`{code.co_name}` ({code.co_filename}:{code.co_firstlineno}) is compiled again "
                "for the same model, shapes and dtypes, because it is a new function object: "
                "functions are looked up by identity, as in `jax.jit`. Make it once, and pass "
                "what changes in `data`.",
                RecompilationWarning,
                stacklevel=user_stacklevel(),
            )
        last[:] = keys


@functools.lru_cache(maxsize=1024)
def _last(codes: tuple[Identity, ...], signature: tuple[object, ...]) -> list[Any]:
    """The keys of what was traced last; the caller fills it in."""
    return []


def _codes(value: object) -> Iterator[tuple[tuple[types.CodeType, ...], Any]]:
    """The code in `value` that belongs to objects compared by themselves, and these objects."""
    inside = entries(value)
    if inside is not None:
        for entry in inside:
            yield from _codes(entry)
        return
    if codes := tuple(_codes_of(value, set())):
        yield codes, value


def _codes_of(function: Any, seen: set[int]) -> Iterator[types.CodeType]:
    """The code of a function, or of `__call__` of an object, and of the functions it is made of.

    Those are the functions that it closes over or that a partial was given: the functions that one
    decorator returns all have the same code. Nothing for functions written in C.
    """
    if id(function) in seen or not callable(function) or isinstance(function, type):
        return
    seen.add(id(function))
    inside: list[Any] = []
    if isinstance(function, functools.partial):
        inside = [function.func, *function.args, *function.keywords.values()]
    else:
        function = inspect.unwrap(function)
        called = function if hasattr(function, "__code__") else type(function).__call__
        if isinstance(code := getattr(called, "__code__", None), types.CodeType):
            yield code
        if isinstance(function, types.FunctionType):
            inside = [part for _, part in closed_over(function)]
    for part in inside:
        yield from _codes_of(part, seen)
