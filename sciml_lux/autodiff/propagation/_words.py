"""Words: derivatives by the letters of what they are taken along, and how they are composed."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Word: TypeAlias = tuple[int, ...]
"""The directions of a derivative in increasing order, so that (0, 0, 1) is ∂³/∂x²∂y."""


def parts_of(words: Iterable[Word]) -> tuple[Word, ...]:
    """`words` and all that they are composed of, the shorter ones first, without the empty one."""
    parts = {part for word in words for part, _ in splits(word)} - {()}
    return tuple(sorted(parts, key=lambda word: (len(word), word)))


@functools.cache
def splits(word: Word) -> Mapping[tuple[Word, Word], int]:
    """The derivatives of two factors whose products are that of the product, and how often.

    It is the rule of Leibniz: (fg)'' = f''g + 2 f'g' + fg''. Each letter falls on either factor.
    """
    if not word:
        return {((), ()): 1}
    *rest, letter = word
    found: Counter[tuple[Word, Word]] = Counter()
    for (a, b), count in splits(tuple(rest)).items():
        found[(*a, letter), b] += count
        found[a, (*b, letter)] += count
    return dict(sorted(found.items(), key=lambda item: (len(item[0][0]), item[0])))


@functools.cache
def partitions(word: Word) -> Mapping[tuple[Word, ...], int]:
    """The derivatives inside a function of one number whose products compose `word`.

    It is the formula of Faà di Bruno: g(f)'' = g'(f) f'' + g''(f) f' f', where each product goes
    with the derivative of g of as many orders as it has factors. A letter falls on g, and begins a
    factor, or on one of the factors.
    """
    if not word:
        return {(): 1}
    *rest, letter = word
    found: Counter[tuple[Word, ...]] = Counter()
    for blocks, count in partitions(tuple(rest)).items():
        found[tuple(sorted((*blocks, (letter,))))] += count
        for place, block in enumerate(blocks):
            others = (*blocks[:place], *blocks[place + 1 :])
            found[tuple(sorted((*others, (*block, letter))))] += count
    return dict(sorted(found.items()))
