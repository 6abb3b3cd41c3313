"""The result of a solve."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from ...core import Record
from ._events import Events
from ._results import RESULTS


class Solution(NamedTuple):
    """The result of `solve`.

    Attributes:
        ts: (n,) the times of the states, in the real dtype of the state.
        ys: the states, a tree like the initial state with a leading axis of n.
        stats: int32 scalars `num_steps`, `num_accepted_steps`, `num_rejected_steps`, and
            `num_field_evaluations` of this solve by itself, forwards: in a batch the field is
            evaluated until all members end, and whether a gradient follows is not known here. It is
            None where diffrax solved, which does not count them; with a symplectic solver those of
            dp/dt. `first_step`, the length of the
            first accepted step, with which a solve like this one may begin, see `Problem`; also
            None there, and 0 where no step was accepted. `time_reached`, t1 if the solve
            succeeded; `adjoint`, `Static("DiscreteAdjoint")` or another, which differentiates it;
            `engine`, which solved: `Static("diffrax")`, `Static("symplectic")`, `Static("lean")`,
            `Static("lean-components")`, the lean engine with its steps by components, or
            `Static("kernel")`; and why no other did, each `Static("")` where it did:
            `why_not_lean`, the option that needs another, such as `Static("solver=Kvaerno5()")`,
            `why_not_components` and `why_not_kernel`.
        between: the state as a function of time, where the solve had `dense=True`; call the
            solution itself.
        final: where the solve ended: `final.t` is t1 and `final.u` the state there, whatever the
            times of `ys`, and `final.next_step` the step that would come next, with which a
            `Problem` from there goes on. None with `BacksolveAdjoint` and times.
        cost: the integral of `running_cost` from t0 to t1; None without one.
        result: why the solve ended, one of `RESULTS`; `RESULTS[result]` is its text, empty if the
            solve succeeded. If not, `ys`, `final`, `cost` and their derivatives are NaN.
        estimates: how hard the solve was, where it had `estimates=True`: sums over its accepted
            steps, in the real dtype of the state, in half precision in float32. They have the
            derivatives of the steps that were taken, and are NaN where the solve failed. ‖·‖ is
            the root mean square over all components, samples included.
            `local_error`, Σ |h| ‖e‖, with the length h of a step and the estimate e of its error;
            `squared_local_error`, Σ ‖e‖²;
            `stiffness`, Σ ‖∂f/∂u d‖ / ‖d‖, along the difference d of the last two stages of a step
            at one time, or of du/dt where d is rounding alone: an estimate of the fastest rate
            from below. Heun, Midpoint, Ralston and Bosh3 have no two stages at one time, and no
            `stiffness`.
        events: what happened, where the solve had `events`; see `Events`. A solve that an event
            ended has `final.t` and `time_reached` then, and at wanted times after it the state
            there. `stats` count both passes over each stretch between events: one finds its end,
            one solves to there.

    Source: `estimates` as in arXiv 2105.03918, but not divided by tolerances.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, ode, setup
        >>> node = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), saveat=(0.0, 1.0))
        >>> solution, st = node.solve(jnp.ones(1, jnp.float32), *setup(0, node))
        >>> solution.ts.tolist(), solution.ys.shape, list(solution.stats)[0]
        ([0.0, 1.0], (2, 1), 'num_steps')

        A loss that also makes a model easy to solve:

        >>> node = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), estimates=True)
        >>> def loss(ps, st, u0, target):
        ...     solution, st = node.solve(u0, ps, st)
        ...     error = jnp.mean((solution.ys[-1] - target) ** 2)
        ...     return error + 10 * solution.estimates.local_error
        >>> float(loss(*setup(0, node), jnp.ones(1, jnp.float32), 0.5)) > 0
        True
    """

    ts: Float[Array, " n"]
    ys: PyTree
    stats: Record
    result: RESULTS
    between: Any = None
    final: Any = None
    cost: Any = None
    estimates: Record | None = None
    events: Events | None = None

    def __call__(self, t: ArrayLike) -> Any:
        """The state at t, between t0 and t1, of a solve with `dense=True`; else not a number.

        Axes of t come first.

        It is differentiable with respect to t and to all that the solve is. With times of each
        sample: the state of every sample at t.

        Raises:
            ValueError: the solve was not asked for it.
        """
        if self.between is None:
            raise ValueError(
                "A `Solution` can be called where the solve had dense=True. Set it in the layer "
                "or the `Method`."
            )
        t = jnp.asarray(t, self.ts.dtype)
        found = jax.vmap(lambda t: _evaluated(self.between, t, self.ts.ndim > 1))(t.ravel())
        return jax.tree.map(lambda y: y.reshape(*t.shape, *y.shape[1:]), found)


@functools.partial(jax.jit, static_argnums=2)
def _evaluated(between: Callable[[Array], PyTree], t: Array, of_samples: bool) -> Any:
    return jax.vmap(lambda between: between(t))(between) if of_samples else between(t)


class Attempt(NamedTuple):
    """What an engine returns.

    Attributes:
        solution: the states, and in its `result` why the engine stopped.
        reached: the state at `time_reached`, finite and without derivatives.
    """

    solution: Solution
    reached: Any
