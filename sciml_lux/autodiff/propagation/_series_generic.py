"""Rules of primitives by the derivatives that JAX knows, and of control flow."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...programs import CONTROL_FLOW, Call, ClosedJaxpr, Jaxpr, inside, open_jaxpr
from ..primitives._equations import shape_of
from ._fallbacks import note_fallback
from ._operands import function_of, results_of
from ._series import Series, SeriesOperand, Words, filled, terms_of
from ._words import Word, parts_of

Result: TypeAlias = SeriesOperand | Sequence[SeriesOperand]


def series_of(operands: Sequence[SeriesOperand]) -> dict[int, Series]:
    """The operands that depend on the points, by place."""
    return {place: o for place, o in enumerate(operands) if isinstance(o, Series)}


def linear(words: Words, call: Call, *operands: SeriesOperand) -> Result:
    """What is linear, or affine, in those operands together that depend on the points."""
    ys = function_of(call, operands, ())()
    found = [Series(y, {}) for y in ys]
    for word in words.all:
        given = {i: x for i, x in series_of(operands).items() if word in x.terms}
        if not given:
            continue
        function = function_of(call, operands, list(given))
        values = tuple(x.value for x in given.values())
        direction = tuple(x.terms[word] for x in given.values())
        for y, term in zip(found, jax.jvp(function, values, direction)[1], strict=True):
            y.terms[word] = term
    return results_of(call, operands, found)


def nested(words: Words, call: Call, *operands: SeriesOperand) -> Result:
    """A primitive by forward mode over forward mode, once for each letter of a word."""
    note_fallback(call)
    series = series_of(operands)
    function = function_of(call, operands, list(series))
    given = [terms_of(filled(words, x)) for x in series.values()]
    terms = {word: tuple(operand[word] for operand in given) for word in ((), *words.all)}
    lower = terms
    if words.summed is not None:
        lower = terms | {words.summed: jax.tree.map(jnp.zeros_like, terms[()])}
    results: dict[Word, list[Array]] = {}
    for word in reversed(words.all):  # The long ones first: the others are met on the way.
        if word not in results:
            results |= _derivatives(function, word, lower)
    found = [Series(y, {}) for y in results[()]]
    for word in words.all:
        for y, term in zip(found, results[word], strict=True):
            y.terms[word] = words.sum_over_directions(word, term)
    if words.summed is not None:
        sums = jax.jvp(function, terms[()], terms[words.summed])[1]
        for y, term in zip(found, sums, strict=True):
            y.terms[words.summed] += term
    return results_of(call, operands, found)


def _derivatives(
    function: Callable[..., list[Array]], word: Word, terms: Mapping[Word, tuple[Array, ...]]
) -> dict[Word, list[Array]]:
    """What `word` begins with, as derivatives of `function` along curves with those of `terms`."""
    if not word:
        return {(): function(*terms[()])}
    *rest, letter = word
    first = tuple(rest)
    inner = [(), *parts_of([first])]
    values = {part: terms[part] for part in inner}
    directions = {part: terms[*part, letter] for part in inner}
    lower = functools.partial(_derivatives, function, first)
    found, slopes = jax.jvp(lower, (values,), (directions,))
    return found | {word: slopes[first]}


def control_flow(words: Words, call: Call, *operands: SeriesOperand) -> Result:
    """Loops and branches, in which all derivatives are carried, also those that are zero."""
    if call.name == "while" and shape_of(open_jaxpr(call.params["cond_jaxpr"]).outvars[0]):
        return nested(words, call, *operands)  # Mapped: each has a condition of its own.

    def evaluate(
        program: ClosedJaxpr | Jaxpr, values: Sequence[SeriesOperand]
    ) -> list[SeriesOperand]:
        return [filled(words, value) for value in call.evaluate(program, values)]

    given = list(operands)
    for part in inside(call.equation):
        first = len(operands) - len(part.operands)
        for _, place in part.carried:
            given[first + place] = filled(words, given[first + place])
    return CONTROL_FLOW[call.name](call._replace(evaluate=evaluate), *given)
