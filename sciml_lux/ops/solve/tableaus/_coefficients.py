"""Exact coefficients, read from text as they are printed."""

from fractions import Fraction

Row = tuple[Fraction, ...]


def row(text: str) -> Row:
    """The fractions of a line such as `1/2 0 -0.25`."""
    return tuple(Fraction(word) for word in text.split())


def rows(text: str) -> tuple[Row, ...]:
    """A row for each line of `text`."""
    return tuple(row(line) for line in text.strip().splitlines())


def triangle(text: str) -> tuple[Row, ...]:
    """The strictly lower triangle with the numbers of lines `i j number`, counted from 1."""
    numbers = _numbers(text)
    last = max(i for i, _ in numbers)
    return tuple(
        tuple(numbers.get((i, j), Fraction(0)) for j in range(1, i)) for i in range(1, last + 1)
    )


def rectangle(text: str) -> tuple[Row, ...]:
    """The smallest matrix with the numbers of lines `i j number`, counted from 1."""
    numbers = _numbers(text)
    height, width = (max(index) for index in zip(*numbers, strict=True))
    return tuple(
        tuple(numbers.get((i, j), Fraction(0)) for j in range(1, width + 1))
        for i in range(1, height + 1)
    )


def minus(first: Row, second: Row) -> Row:
    """The differences of two rows."""
    return tuple(x - y for x, y in zip(first, second, strict=True))


def _numbers(text: str) -> dict[tuple[int, int], Fraction]:
    lines = (line.split() for line in text.strip().splitlines())
    return {(int(i), int(j)): Fraction(number) for i, j, number in lines}
