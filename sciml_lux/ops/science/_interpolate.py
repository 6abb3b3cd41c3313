"""Piecewise polynomials through given values."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.internal import check_choice
from ...precision import accumulating, promote
from .._op import op

SplineBasis = Literal["constant", "linear", "quadratic", "cubic"]
LEAST_KNOTS = {"constant": 1, "linear": 2, "quadratic": 3, "cubic": 2}


@op("x", "grid", "values")
def interpolate(
    x: Float[Array, "..."],
    grid: Float[Array, " knots"],
    values: Float[Array, "knots *dims"],
    basis: SplineBasis = "linear",
) -> Float[Array, "..."]:
    """A piecewise polynomial through `values` at the knots `grid`, evaluated at x.

    With tᵢ the last knot not right of x, the piece is

    - "constant": the value at tᵢ;
    - "linear": the line through tᵢ and tᵢ₊₁;
    - "quadratic": the parabola through tᵢ, tᵢ₊₁ and tᵢ₊₂ (the last three knots in the last
      interval), continuous but with a kink at the knots;
    - "cubic": the natural cubic spline, twice continuously differentiable, with second derivative
      0 at both ends.

    Beyond the grid the first or last piece goes on. The function is differentiable in x (between
    the knots), the grid and the values. NaN stays NaN.

    Args:
        x: points, of any shape.
        grid: knots, strictly increasing, which is not checked; at least 1, 2, 3 and 2 for the four
            bases.
        values: (knots, *dims).
        basis: the kind of pieces.

    Returns:
        The shape of x followed by dims, in the widest of the dtypes; float16 and bfloat16 are
        computed in float32 and rounded at the end.

    Raises:
        ValueError: no such basis, too few knots, or shapes that do not fit.

    Source: `ConstantInterpolation`, `LinearInterpolation`, `QuadraticInterpolation` and
        `CubicSpline` of DataInterpolations.jl with `extrapolate = true`.

    Example:
        >>> import jax.numpy as jnp
        >>> grid = jnp.asarray([0.0, 1.0, 2.0], jnp.float32)
        >>> x = jnp.asarray([0.5, 3.0], jnp.float32)
        >>> interpolate(x, grid, grid**2, "quadratic").tolist()
        [0.25, 9.0]
    """
    check_choice("interpolate", "basis", basis, LEAST_KNOTS)
    least = LEAST_KNOTS[basis]
    if grid.ndim != 1 or values.shape[:1] != grid.shape or grid.size < least:
        raise ValueError(
            f"`interpolate` expects `grid` (knots,) and `values` (knots, ...) with at least "
            f"{least} knots for the basis {basis!r}, got {grid.shape} and {values.shape}."
        )
    x, grid, values = promote(x, grid, values)
    return accumulating(_PIECES[basis], x, grid, values)


def _constant(x: Array, grid: Array, values: Array) -> Array:
    y = values[_piece(x, grid, grid.size - 1)]
    return jnp.where(_beside(jnp.isnan(x), y), jnp.full_like(y, jnp.nan), y)


def _linear(x: Array, grid: Array, values: Array) -> Array:
    i = _piece(x, grid, grid.size - 2)
    part = (x - grid[i]) / (grid[i + 1] - grid[i])
    return _combination([(1 - part, values[i]), (part, values[i + 1])])


def _quadratic(x: Array, grid: Array, values: Array) -> Array:
    i = _piece(x, grid, grid.size - 3)
    t0, t1, t2 = grid[i], grid[i + 1], grid[i + 2]
    w0 = (x - t1) * (x - t2) / ((t0 - t1) * (t0 - t2))
    w1 = (x - t0) * (x - t2) / ((t1 - t0) * (t1 - t2))
    w2 = (x - t0) * (x - t1) / ((t2 - t0) * (t2 - t1))
    return _combination([(w0, values[i]), (w1, values[i + 1]), (w2, values[i + 2])])


def _cubic(x: Array, grid: Array, values: Array) -> Array:
    bends = _natural_second_derivatives(grid, values)
    i = _piece(x, grid, grid.size - 2)
    step = grid[i + 1] - grid[i]
    right = (x - grid[i]) / step
    left = 1 - right
    bend = step * step / 6
    return _combination(
        [
            (left, values[i]),
            (right, values[i + 1]),
            (bend * (left * left * left - left), bends[i]),
            (bend * (right * right * right - right), bends[i + 1]),
        ]
    )


_PIECES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "constant": _constant,
    "linear": _linear,
    "quadratic": _quadratic,
    "cubic": _cubic,
}


def _piece(x: Array, grid: Array, last: int) -> Array:
    """Index of the last knot not right of x, within 0 and `last`."""
    return jnp.clip(jnp.searchsorted(grid, x, side="right") - 1, 0, last)


def _beside(weight: Array, value: Array) -> Array:
    """`weight` with axes of 1 for those that `value` has beyond it."""
    return weight.reshape(*weight.shape, *(1,) * (value.ndim - weight.ndim))


def _combination(terms: list[tuple[Array, Array]]) -> Array:
    first, *rest = (_beside(weight, value) * value for weight, value in terms)
    return sum(rest, start=first)


def _natural_second_derivatives(grid: Array, values: Array) -> Array:
    """Second derivatives of the natural cubic spline at the knots.

    The tridiagonal system is diagonally dominant, so that elimination needs no pivots; it is done
    here since JAX's own tridiagonal solve has no 16-bit floats.
    """
    steps = grid[1:] - grid[:-1]
    slopes = (values[1:] - values[:-1]) / _beside(steps, values)
    rows = (steps[:-1], 2 * (steps[:-1] + steps[1:]), steps[1:], 6 * (slopes[1:] - slopes[:-1]))

    def eliminate(carry: tuple[Array, Array], row: tuple) -> tuple[Any, Any]:
        above_before, right_before = carry
        below, diagonal, above, right = row
        pivot = diagonal - below * above_before
        carry = (above / pivot, (right - below * right_before) / pivot)
        return carry, carry

    def substitute(following: Array, row: tuple) -> tuple[Array, Array]:
        above, right = row
        bend = right - above * following
        return bend, bend

    end = jnp.zeros_like(values[0])
    _, reduced = jax.lax.scan(eliminate, (jnp.zeros_like(grid[0]), end), rows)
    _, inner = jax.lax.scan(substitute, end, reduced, reverse=True)
    ends = jnp.expand_dims(end, 0)
    return jnp.concatenate([ends, inner, ends])
