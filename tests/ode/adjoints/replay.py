"""A solve that takes recorded steps again, written plainly: differences of it see these alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from sciml_lux.ode.adjoints._adjoint import Adjoint
from sciml_lux.ops.solve.reversible._grid import grid_of
from sciml_lux.ops.solve.steps._given import Given


class Replay(Adjoint):
    """The steps of the first of several points, in the place of those of each of them.

    The points are what `jax.vmap` maps, with the name "points".

    Args:
        coupling: that of a reversible method; None for the method itself.
        is_error: whether the state at the end is the local error instead, Σ |h| ‖e‖.
    """

    coupling: float | None = None
    is_error: bool = False

    def solved(self, setup, given):
        """The solve by the recorded steps; its derivatives are nobody's business."""
        found = setup.solve(given, lengths=True)
        lengths = jax.lax.all_gather(found.lengths, "points")[0]
        start, whole = ravel_pytree(given.u0)
        span = given.t1 - given.t0

        def field(t, y):
            return ravel_pytree(setup.field(t, whole(y), given.args))[0]

        ts = jnp.zeros(0) if given.ts is None else given.ts
        if self.coupling is None:
            y1, ys, error = steps(field, setup.tableau, given.t0, span, ts, start, lengths)
        else:
            grid = grid_of(Given(given.t0, given.t1, ts, None, None), lengths)
            taken = np.arange(len(grid.starts), dtype=np.int32) < grid.num_steps
            cut = jnp.where(taken, grid.lengths, 0)
            moved = taken & (grid.lengths > 0)
            through = functools.partial(reversible_steps, field, setup.tableau, self.coupling)
            y1, after, error = *through(given.t0, span, start, cut, moved), None
            at = [jnp.argmax(taken & (grid.saves == i)) for i in range(len(ts))]
            ys = [after[i] for i in at]
        y1 = jnp.full_like(y1, error) if self.is_error else y1
        ys = None if given.ts is None else jax.vmap(whole)(jnp.stack(ys))
        return found._replace(y1=whole(y1), ys=ys, lengths=None)


def stages_of(field, a, c, t, h, y):
    """(stages, n) the slopes of a step."""

    def stage(k, row):
        number, weights, node = row
        slope = field(t + node * h, y + times(h, combined(weights, k)))
        return k.at[number].set(slope), ()

    rows = (np.arange(len(c), dtype=np.int32), a, c)
    return jax.lax.scan(stage, jnp.zeros((len(c), *y.shape), y.dtype), rows)[0]


def combined(weights, k):
    return jnp.tensordot(jnp.asarray(weights, k.dtype), k[: len(weights)], 1)


def times(number, state):
    """Their product, also of a real number and a complex state."""
    return number.astype(state.dtype) * state


def steps(field, tableau, t0, span, ts, y, lengths):
    """The state at the end, those at `ts` by the interpolant, and the local error."""
    own = tableau.float64
    total = len(own.c) + len(own.extra_c)
    a = np.concatenate(
        [np.pad(part, ((0, 0), (0, total - part.shape[1]))) for part in (own.a, own.extra_a)]
    )
    c = np.concatenate([own.c, own.extra_c])

    def step(carry, length):
        start, y, error = carry
        h = length * span
        k = stages_of(field, a, c, t0 + start * span, h, y)
        size = jnp.sqrt(jnp.mean(jnp.abs(times(h, combined(own.b_error, k))) ** 2))
        after = y + times(h, combined(own.b, k))
        return (start + length, after, error + jnp.abs(h) * size), (start, h, y, k)

    (_, y1, error), (starts, *rows) = jax.lax.scan(step, (0 * span, y, 0 * span), lengths)

    def at(t):
        place = (t - t0) / span
        row = jnp.argmax((place <= starts + lengths + 1e-12) & (lengths > 0))
        h, y, k = (values[row] for values in rows)
        theta = (place - starts[row]) / lengths[row]
        weights = jnp.asarray(own.p) @ theta ** np.arange(1.0, own.p.shape[1] + 1)
        return y + times(h, combined(weights, k))

    return y1, [at(t) for t in ts], error


def reversible_steps(field, tableau, coupling, t0, span, y, lengths, moved):
    """The state at the end, and those after each step: the formulas of arXiv 2410.11648."""

    def move(t, h, y):
        k = stages_of(field, tableau.float64.a, tableau.float64.c, t, h, y)
        return times(h, combined(tableau.float64.b, k))

    def step(carry, row):
        (length, valid), (start, y, z) = row, carry
        t, h = t0 + start * span, length * span
        after = coupling * y + (1 - coupling) * z + move(t, h, z)
        coupled = z - move(t + h, -h, after)
        y, z = jnp.where(valid, after, y), jnp.where(valid, coupled, z)
        return (start + length, y, z), y

    (_, y1, _), after = jax.lax.scan(step, (0 * span, y, y), (lengths, moved))
    return y1, after
