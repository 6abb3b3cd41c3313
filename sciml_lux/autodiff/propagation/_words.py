"""Words: derivatives by the letters of what they are taken along, and how they are composed."""

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Word: TypeAlias = tuple[int, ...]
"""The directions of a derivative in increasing order, so that (0, 0, 1) is ∂³/∂x²∂y."""


def parts_of(words: Iterable[Word]) -> tuple[Word, ...]:
    """`words` and all that they are composed of, the shorter ones first, without the empty one."""
    parts = {
        part
        for word in words
        for length in range(1, len(word) + 1)
        for part in itertools.combinations(word, length)
    }
    return tuple(sorted(parts, key=lambda word: (len(word), word)))


@functools.cache
def splits(word: Word) -> Mapping[tuple[Word, Word], int]:
    """The derivatives of two factors whose products are that of the product, and how often.

    It is the rule of Leibniz: (fg)'' = f''g + 2 f'g' + fg''.
    """
    places = range(len(word))
    return Counter(
        (_letters(word, chosen), _letters(word, sorted({*places}.difference(chosen))))
        for length in range(len(word) + 1)
        for chosen in itertools.combinations(places, length)
    )


@functools.cache
def partitions(word: Word) -> Mapping[tuple[Word, ...], int]:
    """The derivatives inside a function of one number whose products compose `word`.

    It is the formula of Faà di Bruno: g(f)'' = g'(f) f'' + g''(f) f' f', where each product goes
    with the derivative of g of as many orders as it has factors.
    """
    return Counter(tuple(sorted(blocks)) for blocks in _blocks(word))


def _blocks(word: Word) -> Iterator[tuple[Word, ...]]:
    """The ways to divide the letters of `word`; letters in different places are different."""
    if not word:
        yield ()
        return
    first, *rest = word
    places = range(len(rest))
    for length in range(len(rest) + 1):
        for chosen in itertools.combinations(places, length):
            others = _letters(rest, sorted({*places}.difference(chosen)))
            for blocks in _blocks(others):
                yield ((first, *_letters(rest, chosen)), *blocks)


def _letters(word: Iterable[int], places: Iterable[int]) -> Word:
    letters = tuple(word)
    return tuple(letters[place] for place in places)
