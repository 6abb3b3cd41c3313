"""The coefficients of an explicit Runge-Kutta method, exact and in float64."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from jaxtyping import Float64

Row = tuple[Fraction, ...]


@dataclass(frozen=True)
class Interpolant:
    """The solution inside a step, y(t0 + θh) = y0 + h Σᵢ kᵢ bᵢ(θ), bᵢ(θ) = Σⱼ pᵢⱼ θ^(j+1).

    The sum over i runs over the stages of the step, then over extra stages, which are evaluated
    only in steps that need the solution inside. j counts from 0.

    Args:
        order: errors inside a step are O(h^(order + 1)).
        p: a row for each stage, extra ones last; a column for each power of θ, from 1.
        a: rows of the extra stages, over the stages before each.
        c: nodes of the extra stages.
    """

    order: int
    p: tuple[Row, ...]
    a: tuple[Row, ...] = ()
    c: Row = ()


@dataclass(frozen=True)
class Arrays:
    """A `Tableau` as float64 arrays, each number the one nearest to the exact coefficient.

    Args:
        a: strictly lower triangle.
        b: weights of the solution.
        b_error: weights of the error estimate, or None.
        b_error_coarse: weights of the second error estimate, or None.
        c: nodes.
        p: the interpolant; extra stages have the last rows.
        extra_a: rows of the extra stages, zero from their own column on.
        extra_c: nodes of the extra stages.
    """

    a: Float64[np.ndarray, "stages stages"]
    b: Float64[np.ndarray, " stages"]
    b_error: Float64[np.ndarray, " stages"] | None
    b_error_coarse: Float64[np.ndarray, " stages"] | None
    c: Float64[np.ndarray, " stages"]
    p: Float64[np.ndarray, "all_stages degree"]
    extra_a: Float64[np.ndarray, "extra_stages all_stages"]
    extra_c: Float64[np.ndarray, " extra_stages"]


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: kᵢ = f(t0 + cᵢh, y0 + h Σⱼ aᵢⱼ kⱼ), y1 = y0 + h Σᵢ bᵢ kᵢ.

    Args:
        name: of the method.
        order: errors of a step are O(h^(order + 1)).
        embedded_order: of the solution with which the error estimate compares; None without one.
        a: row i holds the i coefficients left of the diagonal, so that the first is empty.
        b: weights of the solution.
        b_error: b minus the embedded weights: the error is about h Σᵢ b_errorᵢ kᵢ. None where the
            method has no estimate.
        c: nodes, the first 0.
        fsal: whether the last stage is f(t1, y1), the first stage of the next step.
        interpolant: the solution inside a step.
        b_error_coarse: weights of a second estimate of lower order, for a method that combines
            two, else None.
    """

    name: str
    order: int
    embedded_order: int | None
    a: tuple[Row, ...]
    b: Row
    b_error: Row | None
    c: Row
    fsal: bool
    interpolant: Interpolant
    b_error_coarse: Row | None = None

    def __hash__(self) -> int:
        return hash(self.name)  # Hundreds of fractions take milliseconds.

    @property
    def num_stages(self) -> int:
        """Stages of a step, without the extra ones of the interpolant."""
        return len(self.b)

    @cached_property
    def float64(self) -> Arrays:
        """The coefficients rounded to float64."""
        stages, inside = self.num_stages, self.interpolant
        return Arrays(
            a=_triangle(self.a, stages),
            b=_array(self.b),
            b_error=None if self.b_error is None else _array(self.b_error),
            b_error_coarse=None if self.b_error_coarse is None else _array(self.b_error_coarse),
            c=_array(self.c),
            p=_triangle(inside.p, len(inside.p[0])),
            extra_a=_triangle(inside.a, stages + len(inside.a)),
            extra_c=_array(inside.c),
        )


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


def _array(values: Iterable[Fraction]) -> np.ndarray:
    return _read_only(np.array([float(value) for value in values], np.float64))


def _triangle(lines: tuple[Row, ...], width: int) -> np.ndarray:
    full = np.zeros((len(lines), width))
    for i, line in enumerate(lines):
        full[i, : len(line)] = [float(value) for value in line]
    return _read_only(full)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
