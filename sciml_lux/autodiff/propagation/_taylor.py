"""Derivatives of several orders by one forward pass through the program of a function."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...programs import ClosedJaxpr, interpret
from ..primitives._types import ArrayFunction
from ._series import DIRECTIONS, Series, Words, terms_of
from ._series_rules import series_rules
from ._words import Word, parts_of


def derivatives_along(
    function: ArrayFunction,
    x: Float[Array, "*batch coordinates"],
    directions: Mapping[int, Float[Array, "*batch coordinates"]],
    words: Iterable[Word],
) -> dict[Word, Array]:
    """The value, as that of the empty word, and the derivatives of `function` at `x` by `words`.

    Args:
        function: of the points.
        x: the points.
        directions: the direction of each letter, of the shape of `x`.
        words: what is to be computed.
    """
    wanted = Words(parts_of(words))
    program = jax.make_jaxpr(function)(x)
    given = Series(x, {(letter,): direction for letter, direction in directions.items()})
    found = _propagated(program, given, wanted)
    return {word: found.get(word, jnp.zeros_like(found[()])) for word in ((), *wanted.all)}


def sum_over_directions(
    function: ArrayFunction,
    x: Float[Array, "*batch coordinates"],
    directions: Mapping[int, Float[Array, "*batch directions coordinates"]],
    word: Word,
) -> Array:
    """The sum over directions of the derivatives of `function` by one word.

    The derivatives of its order are linear, so that only their sum passes through the program.

    Args:
        function: of the points.
        x: the points.
        directions: for each letter, its directions, which are rows side by side in memory.
        word: the derivative.
    """
    wanted = Words(parts_of([word]), summed=word)
    program = jax.make_jaxpr(function)(x)

    def along(directions: dict[int, Array]) -> Array:
        given = Series(x, {(letter,): row for letter, row in directions.items()})
        found = _propagated(program, given, wanted)
        return found.get(word, jnp.zeros_like(found[()]))

    return jax.vmap(along, -2, None, axis_name=DIRECTIONS)(dict(directions))


def _propagated(program: ClosedJaxpr, x: Series, words: Words) -> dict[Word, Array]:
    rules, default = series_rules(words)
    [y] = interpret(program, [x], rules, default=default)
    return terms_of(y)
