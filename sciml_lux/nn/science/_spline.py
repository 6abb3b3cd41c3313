"""SplineLayer: a function given by its values on a grid."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_choice, check_number, is_integer, subject
from ...initializers import Initializer, normal
from ...ops import LEAST_KNOTS, SplineBasis, interpolate
from .._array_check import check_array


class SplineLayer(Layer):
    """y = s(x), a piecewise polynomial s through trainable values at the knots of a grid.

    Args:
        in_dims: shape of one value of the function, () for a number.
        grid_min, grid_max, grid_step: the knots are grid_min, grid_min + grid_step, ..., up to
            grid_max.
        basis: "constant", "linear", "quadratic" or "cubic", as in `ops.interpolate`.
        train_grid: whether the knots are parameters. Training may bring them out of the increasing
            order that the interpolation needs.
        init_saved_points: initialiser of the values; by default N(0, 1).

    Inputs: x (...), points of any shape.

    Returns: y (..., *in_dims) in the widest of the dtypes of x, parameters and knots. Outside the
        grid the first or the last piece is extrapolated.

    Parameters: saved_points (knots, *in_dims); grid (knots,) if `train_grid`.

    States: grid (knots,) if not `train_grid`.

    Raises:
        ValueError: another basis; a step or range with too few knots for it.
        TypeError: `in_dims` is not a tuple of integers.

    Source: `SplineLayer` of Boltz 1.7, with the knots first, not last. Its initial values are
        documented as normal, as here, but uniform on [0, 1) in its code. Its `init_saved_points`
        takes (rng, in_dims, grid_min, grid_max, grid_step); ours takes (key, shape, dtype), as
        every initialiser does.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.SplineLayer((2,), 0.0, 1.0, 0.25, "cubic")
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones(7, jnp.float32), ps, st)[0].shape, ps.saved_points.shape
        ((7, 2), (5, 2))
    """

    in_dims: tuple[int, ...]
    grid_min: float
    grid_max: float
    grid_step: float
    basis: SplineBasis
    _: dataclasses.KW_ONLY
    train_grid: bool = False
    init_saved_points: Initializer | None = None

    def __post_init__(self) -> None:
        """Check the shape, the basis and the grid."""
        if not isinstance(self.in_dims, tuple) or not all(map(is_integer, self.in_dims)):
            raise TypeError(
                "`SplineLayer` expects `in_dims` to be a tuple of integers, () for a function with "
                f"one number, got {self.in_dims!r}."
            )
        check_choice("SplineLayer", "basis", self.basis, LEAST_KNOTS)
        for name in ("grid_min", "grid_max", "grid_step"):
            check_number("SplineLayer", name, getattr(self, name))
        if not (self.grid_step > 0 and self.grid_max >= self.grid_min):
            raise ValueError(
                "`SplineLayer` expects `grid_min` <= `grid_max` and a positive `grid_step`, got "
                f"{self.grid_min}, {self.grid_max} and {self.grid_step}."
            )
        if len(self._knots()) < LEAST_KNOTS[self.basis]:
            raise ValueError(
                f"`SplineLayer` expects at least {LEAST_KNOTS[self.basis]} knots for the basis "
                f"{self.basis!r}, got {len(self._knots())}. Use a smaller `grid_step`."
            )

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The values, and the knots if they are trained."""
        init = self.init_saved_points or normal
        shape = (len(self._knots()), *self.in_dims)
        saved_points = init(jax.random.fold_in(key, 0), shape, dtype)
        if not self.train_grid:
            return Record(saved_points=saved_points)
        return Record(saved_points=saved_points, grid=jnp.asarray(self._knots(), dtype))

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The knots if they are not trained."""
        return Record() if self.train_grid else Record(grid=jnp.asarray(self._knots(), dtype))

    def __call__(
        self, x: Float[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Float[Array, "..."], States]:
        """The values at x, and `st` as it was."""
        check_array(self, x)
        expected = (len(self._knots()), *self.in_dims)
        if ps.saved_points.shape != expected:
            raise ValueError(
                f"{subject(self)} expects the parameter `saved_points` to be (knots, *in_dims) = "
                f"{expected}, got shape {ps.saved_points.shape}. Pass the parameters that "
                "setup(key, model) made for this model."
            )
        grid = ps.grid if self.train_grid else st.grid
        return interpolate(x, grid, ps.saved_points, self.basis), st

    def _knots(self) -> list[float]:
        """The grid; it ends exactly at grid_max if a whole number of steps leads there."""
        length = self.grid_max - self.grid_min
        steps = length / self.grid_step
        count = math.floor(steps * (1 + 1e-12))
        reached = length if abs(steps - count) <= 1e-12 * steps else count * self.grid_step
        return [self.grid_min + reached * i / max(count, 1) for i in range(count + 1)]
