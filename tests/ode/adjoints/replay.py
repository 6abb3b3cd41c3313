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
    """The slopes of a step, those that the interpolant alone needs included."""
    found = []
    for row, node in zip(a, c, strict=True):
        move = sum((float(w) * k for w, k in zip(row, found, strict=False)), 0 * y)
        found.append(field(t + float(node) * h, y + times(h, move)))
    return found


def combined(weights, stages):
    return sum(float(w) * k for w, k in zip(weights, stages, strict=False))


def times(number, state):
    """Their product, also of a real number and a complex state."""
    return number.astype(state.dtype) * state


def steps(field, tableau, t0, span, ts, y, lengths):
    """The state at the end, those at `ts` by the interpolant, and the local error."""
    inside = tableau.interpolant
    a, c = (*tableau.a, *inside.a), (*tableau.c, *inside.c)

    def step(carry, length):
        start, y, error = carry
        h = length * span
        stages = stages_of(field, a, c, t0 + start * span, h, y)
        after = y + times(h, combined(tableau.b, stages))
        e = times(h, combined(tableau.b_error, stages))
        size = jnp.sqrt(jnp.mean(jnp.abs(e) ** 2))
        carry = (start + length, after, error + jnp.abs(h) * size)
        return carry, (start, h, y, jnp.stack(stages))

    (_, y1, error), (starts, *rows) = jax.lax.scan(step, (0 * span, y, 0 * span), lengths)

    def at(t):
        place = (t - t0) / span
        row = jnp.argmax((place <= starts + lengths + 1e-12) & (lengths > 0))
        h, y, stages = (values[row] for values in rows)
        theta = (place - starts[row]) / lengths[row]
        powers = theta ** np.arange(1.0, len(inside.p[0]) + 1)
        weights = [jnp.sum(np.asarray(line, np.float64) * powers) for line in inside.p]
        moves = [times(weight, k) for weight, k in zip(weights, stages, strict=True)]
        return y + times(h, sum(moves))

    return y1, [at(t) for t in ts], error


def reversible_steps(field, tableau, coupling, t0, span, y, lengths, moved):
    """The state at the end, and those after each step: the formulas of arXiv 2410.11648."""

    def move(t, h, y):
        return times(h, combined(tableau.b, stages_of(field, tableau.a, tableau.c, t, h, y)))

    def step(carry, row):
        (length, valid), (start, y, z) = row, carry
        t, h = t0 + start * span, length * span
        after = coupling * y + (1 - coupling) * z + move(t, h, z)
        coupled = z - move(t + h, -h, after)
        y, z = jnp.where(valid, after, y), jnp.where(valid, coupled, z)
        return (start + length, y, z), y

    (_, y1, _), after = jax.lax.scan(step, (0 * span, y, y), (lengths, moved))
    return y1, after
