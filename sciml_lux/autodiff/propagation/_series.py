"""Series: a value with its derivatives along directions, one for each word."""

from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ._propagated import directions_axis, total
from ._words import Word

DIRECTIONS = "directions"
"""The axis over which a sum of derivatives is taken."""


class Series(NamedTuple):
    """A value and its derivatives along one direction for each letter.

    Attributes:
        value: the value.
        terms: its derivatives by word, of the shape of the value; without those that are zero.
    """

    value: Float[Array, "..."]
    terms: dict[Word, Array]


SeriesOperand: TypeAlias = Array | Series
"""What a rule gets: an array if it does not depend on the points."""


class Words(NamedTuple):
    """Which derivatives pass a program together.

    Attributes:
        all: the words, with all that they are composed of, the shorter ones first.
        summed: the word of which only the sum over the mapped axis `DIRECTIONS` is computed.
    """

    all: tuple[Word, ...]
    summed: Word | None = None

    @property
    def order(self) -> int:
        """The number of letters of the longest."""
        return max(map(len, self.all))

    def total(self, word: Word, linear: list[Array], others: list[Array]) -> Array | None:
        """The sum of the terms of a derivative; None without any.

        Args:
            word: the derivative.
            linear: terms in the same derivative of the operands, which are sums already if it is.
            others: terms in products of lower derivatives.
        """
        if others:
            linear = [*linear, self.sum_over_directions(word, total(others))]
        return total(linear) if linear else None

    def sum_over_directions(self, word: Word, term: Array) -> Array:
        """`term` of the derivative `word`, or its sum over the directions if that is wanted."""
        if word != self.summed:
            return term
        axis = directions_axis(term.ndim)
        return jnp.sum(lax.all_gather(term, DIRECTIONS, axis=axis), axis=axis)


def filled(words: Words, operand: SeriesOperand) -> SeriesOperand:
    """`operand` with all terms, also those that are zero, as what control flow passes on needs."""
    value = operand.value if isinstance(operand, Series) else operand
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        return operand
    terms = operand.terms if isinstance(operand, Series) else {}
    zeros = {word: jnp.zeros_like(value) for word in words.all if word not in terms}
    return Series(value, terms | zeros)


def terms_of(operand: SeriesOperand) -> dict[Word, Array]:
    """The value, as the derivative of the empty word, and the terms."""
    if isinstance(operand, Series):
        return {(): operand.value, **operand.terms}
    return {(): operand}
