"""How hard a solve was: sums over its steps of the local error and of the stiffness."""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..loops._dynamic_scan import dynamic_scan, linear_scan
from ..steps._all_stages import all_stages
from ..steps._form import ParametricField
from ..steps._given import Given, Options
from ..steps._record import Record, order_of, rows_of, step_of_row
from ..steps._step import Field, Leaves, advanced, weighted
from ..tableaus._tableau import Tableau


class Estimates(NamedTuple):
    """Sums over the accepted steps; ‖·‖ is the root mean square over all components.

    Attributes:
        local_error: Σ |h| ‖e‖, with the length h of a step and the estimate e of its error.
        squared_local_error: Σ ‖e‖².
        stiffness: Σ ‖∂f/∂y d‖ / ‖d‖, along the difference d = gᵢ - gⱼ of the states of the last
            two stages of a step at one time, in the middle between them. It is ‖kᵢ - kⱼ‖ / ‖d‖
            but for O(d²), without its rounding, and estimates the fastest rate from below. Where
            steps are so short that d is rounding alone, it is along kⱼ. None for a method without
            such stages.
    """

    local_error: jax.Array
    squared_local_error: jax.Array
    stiffness: jax.Array | None


def estimates_of(
    field: ParametricField, options: Options, given: Given, record: Record, counted: Sequence[bool]
) -> Estimates:
    """The estimates of the recorded steps, which are taken again; their lengths are constants.

    Args:
        field: what was solved.
        options: of the solve; its method has an error estimate.
        given: what the solve depends on.
        record: of the steps.
        counted: which leaves are in the error norm.
    """
    rows, longest = rows_of(options.max_steps, options.capacity)
    thinned = longest > 1
    steps = _Steps(field, options.tableau, counted, rows, longest)
    length = rows + int(thinned)
    widest = max((jnp.finfo(y.dtype) for y in given.y0), key=lambda info: info.bits).dtype
    nothing = [jnp.zeros((), widest)] * (2 + int(_equal_times(options.tableau) is not None))
    sums, _ = linear_scan(
        steps.row if thinned else steps.single,
        jax.lax.div(record.steps + record.stride - 1, record.stride),
        (given, jax.lax.stop_gradient(record.lengths), record.steps, record.stride),
        (np.arange(length, dtype=np.int32), jax.lax.stop_gradient(record.starts), record.states),
        nothing,
        (),
        length=length,
        order=order_of(record, rows) if thinned else None,
    )
    return Estimates(sums[0], sums[1], sums[2] if len(sums) > 2 else None)


class _Steps:
    """The recorded steps, taken again.

    Args:
        field: what was solved.
        tableau: by which method.
        counted: which leaves are in the error norm.
        rows: of the record.
        longest: the longest stride of the record.
    """

    def __init__(
        self,
        field: ParametricField,
        tableau: Tableau,
        counted: Sequence[bool],
        rows: int,
        longest: int,
    ) -> None:
        self.field = field
        self.tableau = tableau
        self.counted = counted
        self.rows = rows
        self.longest = longest

    def single(self, constants: PyTree, row: PyTree, sums: Leaves, _: PyTree) -> Any:
        """The sums after a row of one step."""
        given, lengths, *_ = constants
        number, start, y = row
        length = jax.lax.dynamic_index_in_dim(lengths, number, 0, keepdims=False)
        (_, _, sums), _ = self.step(given, length, (start, y, sums))
        return sums, ()

    def row(self, constants: PyTree, row: PyTree, sums: Leaves, _: PyTree) -> Any:
        """The sums after a row of a stride of steps."""
        given, lengths, count, stride = constants
        number, start, y = row
        first = step_of_row(number, stride, self.rows)
        steps = jnp.minimum(stride, count - first)
        lengths = lengths.at[first + np.arange(self.longest, dtype=np.int32)].get(mode="clip")
        carry = (start, y, sums)
        (_, _, sums), _ = dynamic_scan(self.step, steps, given, lengths, carry, length=self.longest)
        return sums, ()

    def step(self, given: Given, length: jax.Array, carry: PyTree) -> Any:
        """The start and state after a step, and the sums with what it adds."""
        start, y, sums = carry
        tableau = self.tableau
        span = given.t1 - given.t0
        t, h = given.t0 + start * span, length * span
        field = functools.partial(self.field, given.parameters)
        stages = all_stages(tableau, field, t, h, y, tableau.num_stages)
        b_error: Any = tableau.float64.b_error  # Not None: `solve` checks it.
        error = norm(itertools.compress(weighted(h, b_error, stages), self.counted))
        found = [jnp.abs(h).astype(error.dtype) * error, jnp.square(error)]
        found += _stiffness(field, tableau, t, h, y, stages, self.counted)
        sums = [total + term for total, term in zip(sums, found, strict=True)]
        return (start + length, advanced(y, h, tableau.float64.b, stages), sums), ()


def norm(values: Iterable[jax.Array]) -> jax.Array:
    """The root mean square over the components of all leaves, with a derivative of 0 at 0."""
    values = list(values)
    widest = max((jnp.finfo(v.dtype) for v in values), key=lambda info: info.bits).dtype
    parts = [p for v in values for p in ((v.real, v.imag) if jnp.iscomplexobj(v) else (v,))]
    parts = [p.astype(widest) for p in parts]
    # So that squares neither overflow nor underflow; the value does not depend on it.
    largest = jnp.stack([jnp.max(jnp.abs(p), initial=0) for p in parts]).max()
    largest = jax.lax.stop_gradient(largest)
    is_zero = largest == 0
    scale = jnp.where(is_zero, 1.0, largest)
    total = sum(jnp.sum(jnp.square(p / scale)) for p in parts)
    mean = total / max(sum(v.size for v in values), 1)
    return jnp.where(is_zero, 0.0, scale * jnp.sqrt(jnp.where(is_zero, 1.0, mean)))


def _stiffness(
    field: Field,
    tableau: Tableau,
    t: jax.Array,
    h: jax.Array,
    y: Leaves,
    stages: Leaves,
    counted: Sequence[bool],
) -> Leaves:
    """The rate of a step, if the method has two stages at one time."""
    pair = _equal_times(tableau)
    if pair is None:
        return []
    a, c = tableau.float64.a, tableau.float64.c
    ahead, back = a[pair[1]], a[pair[0]]
    direction = _direction(h, ahead - back, stages, pair[1], counted)
    size = norm(itertools.compress(direction, counted))
    scale = jnp.where(size == 0, 1.0, size)
    unit = [d / scale.astype(d.dtype) for d in direction]
    # A derivative: differences of the field, which are the same but for third order, are rounded
    # off where steps are short.
    between = advanced(y, h, (ahead + back) / 2, stages)
    at = t + h * jnp.asarray(c[pair[1]], h.dtype)
    rate = jax.jvp(lambda y: field(at, y), (between,), (unit,))[1]
    return [norm(itertools.compress(rate, counted))]


def _direction(
    h: jax.Array, weights: np.ndarray, stages: Leaves, last: int, counted: Sequence[bool]
) -> Leaves:
    """h Σ weightsᵢ stagesᵢ; where that is rounding alone, h times the last of these stages."""
    direction = weighted(h, weights, stages)
    terms = weighted(h, np.abs(weights), [jnp.abs(k) for k in stages])
    size, sizes = (norm(itertools.compress(values, counted)) for values in (direction, terms))
    rounding = 8 * float(jnp.finfo(sizes.dtype).eps) * sizes
    resolved = jax.lax.stop_gradient(size > rounding)
    along = [h.astype(k.dtype) * k[last] for k in stages]  # 0 for a step of no length.
    return [jnp.where(resolved, d, k) for d, k in zip(direction, along, strict=True)]


def _equal_times(tableau: Tableau) -> tuple[int, int] | None:
    """The last two stages that are of one time, of different states."""
    pairs = itertools.combinations(reversed(range(tableau.num_stages)), 2)
    same = ((i, j) for j, i in pairs if tableau.c[i] == tableau.c[j])
    return next(same, None)
