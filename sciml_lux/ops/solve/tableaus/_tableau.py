"""The coefficients of an explicit Runge-Kutta method, exact and in float64."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from ._coefficients import Row


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
        p: the interpolant in powers of θ; extra stages have the last rows.
        chebyshev: the interpolant as bᵢ(θ) = θ Σⱼ chebyshevᵢⱼ Tⱼ(2θ - 1), j from 0, which is to be
            evaluated: powers of θ cancel, with Vern9 at the cost of four digits.
        extra_a: rows of the extra stages, zero from their own column on.
        extra_c: nodes of the extra stages.
    """

    a: Float64[np.ndarray, "stages stages"]
    b: Float64[np.ndarray, " stages"]
    b_error: Float64[np.ndarray, " stages"] | None
    b_error_coarse: Float64[np.ndarray, " stages"] | None
    c: Float64[np.ndarray, " stages"]
    p: Float64[np.ndarray, "all_stages degree"]
    chebyshev: Float64[np.ndarray, "all_stages degree"]
    extra_a: Float64[np.ndarray, "extra_stages all_stages"]
    extra_c: Float64[np.ndarray, " extra_stages"]


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: kᵢ = f(t0 + cᵢh, y0 + h Σⱼ aᵢⱼ kⱼ), y1 = y0 + h Σᵢ bᵢ kᵢ.

    Args:
        name: of the method.
        order: errors of a step are O(h^(order + 1)).
        embedded_order: the error estimate is O(h^(embedded_order + 1)); None without one.
        a: row i holds the i coefficients left of the diagonal, so that the first is empty.
        b: weights of the solution.
        b_error: b minus the embedded weights: the error is about h Σᵢ b_errorᵢ kᵢ. None where the
            method has no estimate.
        c: nodes, the first 0.
        fsal: whether the last stage is f(t1, y1), the first stage of the next step.
        interpolant: the solution inside a step.
        b_error_coarse: weights of a second estimate, of lower order, where the method has one. The
            error estimate is then |e|² / √(|e|² + |e_coarse|² / 100).
        fine_nodes: where `with_fine_interpolant` adds stages; none where `interpolant` is as exact
            as the solution.
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
    fine_nodes: Row = ()

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
        degree = len(inside.p[0])
        return Arrays(
            a=as_triangle(self.a, stages),
            b=as_array(self.b),
            b_error=None if self.b_error is None else as_array(self.b_error),
            b_error_coarse=None if self.b_error_coarse is None else as_array(self.b_error_coarse),
            c=as_array(self.c),
            p=as_triangle(inside.p, degree),
            chebyshev=as_triangle(tuple(map(_in_chebyshev, inside.p)), degree),
            extra_a=as_triangle(inside.a, stages + len(inside.a)),
            extra_c=as_array(inside.c),
        )


def _in_chebyshev(powers: Row) -> Row:
    """The coefficients of Tⱼ(2θ - 1), from those of θʲ.

    4ⁿ θⁿ = C(2n, n) + 2 Σⱼ C(2n, n - j) Tⱼ(2θ - 1), with j from 1 to n.
    """
    out = [Fraction(0)] * len(powers)
    for n, power in enumerate(powers):
        for j in range(n + 1):
            out[j] += power * Fraction(math.comb(2 * n, n - j) * (2 if j else 1), 4**n)
    return tuple(out)


def as_array(values: Iterable[Fraction]) -> np.ndarray:
    """The numbers in float64."""
    return _read_only(np.array([float(value) for value in values], np.float64))


def as_triangle(lines: tuple[Row, ...], width: int) -> np.ndarray:
    """The lines in float64, with zeros up to `width`."""
    full = np.zeros((len(lines), width))
    for i, line in enumerate(lines):
        full[i, : len(line)] = [float(value) for value in line]
    return _read_only(full)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
