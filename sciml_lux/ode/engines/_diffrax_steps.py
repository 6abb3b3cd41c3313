"""diffrax's controllers, which end a solve that cannot go on, and say why."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..solution._finite import all_finite

_RESULTS: Any = diffrax.RESULTS  # A controller may answer with these, not with ours.


class AdaptiveSteps(diffrax.PIDController):
    """Steps by an error estimate, of which one that the clock cannot shorten ends the solve."""

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: PyTree,
        y1_candidate: PyTree,
        args: PyTree,
        y_error: PyTree,
        error_order: Any,
        controller_state: Any,
    ) -> Any:
        """As of diffrax, with the reason why no step will be accepted."""
        finite = all_finite((y1_candidate, y_error))
        # To diffrax the error of an infinite state is NaN, and so is the length of the next step.
        y1 = jax.tree.map(lambda new, old: jnp.where(finite, new, old), y1_candidate, y0)
        y_error = jax.tree.map(lambda e: jnp.where(finite, e, jnp.inf), y_error)
        keep, t, following, *state, result = super().adapt_step_size(
            t0, t1, y0, y1, args, y_error, error_order, controller_state
        )
        why = _RESULTS.where(finite, _RESULTS.dt_min_reached, _RESULTS.nonfinite)
        stuck = ~keep & ((following <= t0) | (following >= t1))
        return keep, t, following, *state, _RESULTS.where(stuck, why, result)


class FixedSteps(diffrax.ConstantStepSize):
    """Steps of one length, of which one to a state that is not finite ends the solve."""

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: PyTree,
        y1_candidate: PyTree,
        args: PyTree,
        y_error: PyTree,
        error_order: Any,
        controller_state: Any,
    ) -> Any:
        """As of diffrax, which goes on with NaN."""
        _, t, following, *state, result = super().adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
        )
        finite = all_finite(y1_candidate)
        result = _RESULTS.where(finite, result, _RESULTS.nonfinite)
        return finite, jnp.where(finite, t, t0), following, *state, result
