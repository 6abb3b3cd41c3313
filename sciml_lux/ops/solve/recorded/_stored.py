"""Stored: the solution between the steps as polynomials, which take no evaluations to read."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..loops._dynamic_scan import dynamic_scan
from ..loops._rows import row_of
from ..steps._all_stages import all_stages
from ..steps._form import ParametricField
from ..steps._given import Given
from ..steps._mass import field_with
from ..steps._record import Record
from ..steps._step import Leaves
from ..tableaus._interpolation_weights import polynomials
from ..tableaus._tableau import Tableau


class Stored(NamedTuple):
    """y at t0 + (startᵢ + θ lengthᵢ) (t1 - t0) is yᵢ + θ Σⱼ coefficientsᵢⱼ Tⱼ(2θ - 1), for step i.

    Attributes:
        t0: the start of the solve.
        span: t1 - t0.
        starts: (rows,) of the steps, as fractions of the span.
        lengths: (rows,) of them.
        states: at the starts.
        coefficients: (rows, degree, ...) of each leaf.
        steps: how many rows there are; the others are empty.
    """

    t0: jax.Array
    span: jax.Array
    starts: jax.Array
    lengths: jax.Array
    states: Leaves
    coefficients: Leaves
    steps: jax.Array

    def at(self, t: jax.Array) -> Leaves:
        """The state at t, a time between the ends."""
        place = (t - self.t0) / jnp.where(self.span == 0, 1.0, self.span)
        taken = jnp.arange(len(self.starts), dtype=jnp.int32) < self.steps
        starts = jax.lax.stop_gradient(jnp.where(taken, self.starts, 2.0))
        reached = jnp.searchsorted(starts, jax.lax.stop_gradient(place), side="right")
        row = jnp.clip(reached - 1, 0, jnp.maximum(self.steps - 1, 0)).astype(jnp.int32)
        length = row_of(self.lengths, row)
        theta = (place - row_of(self.starts, row)) / jnp.where(length == 0, 1.0, length)
        return self.inside(row, theta)

    def inside(self, row: jax.Array, theta: jax.Array) -> Leaves:
        """The state in the step of a row, from 0 at its start to 1 at its end."""
        pairs = zip(self.states, self.coefficients, strict=True)
        return [_value(row_of(y, row), row_of(c, row), theta) for y, c in pairs]


def _value(y: jax.Array, coefficients: jax.Array, theta: jax.Array) -> jax.Array:
    weights = theta * polynomials(theta, len(coefficients))
    weights = jnp.expand_dims(weights.astype(y.dtype), range(1, coefficients.ndim))
    return y + jnp.sum(weights * coefficients, axis=0)


def stored(parametric: ParametricField, tableau: Tableau, given: Given, record: Record) -> Stored:
    """The solution between the steps of a record of all of them, each of which is taken again."""
    span = given.t1 - given.t0

    def step(constants: PyTree, row: PyTree, carry: PyTree) -> Any:
        t0, span, parameters = constants
        start, length, y = row
        field = field_with(parametric, parameters)
        t, h = t0 + start * span, length * span
        stages = all_stages(tableau, field, t, h, y)
        return carry, [_coefficients(tableau, h, k) for k in stages]

    constants = (given.t0, span, given.parameters)
    rows = (*jax.lax.stop_gradient((record.starts, record.lengths)), record.states)
    _, found = dynamic_scan(step, record.steps, constants, rows, (), length=len(record.starts))
    return Stored(given.t0, span, rows[0], rows[1], record.states, found, record.steps)


def _coefficients(tableau: Tableau, h: jax.Array, stages: jax.Array) -> jax.Array:
    """h Σᵢ chebyshevᵢⱼ kᵢ, a row for each j."""
    weights = jnp.asarray(tableau.float64.chebyshev.T, stages.dtype)  # (degree, stages)
    product = jnp.tensordot(weights, stages, axes=1, precision=jax.lax.Precision.HIGHEST)
    return h.astype(stages.dtype) * product
