"""training: many steps in one compiled loop, beside one step for each call, and beside the peers.

The problem and the peers are those of `dispatch`; all rows take the same number of steps.
"""

import numpy as np
import optax

from sciml_lux import losses, training

from ._measure import Case, Run
from .dispatch import LEARNING_RATE, Problem, cases_of, dtypes, problem_of


def cases() -> list[Case]:
    """One step for each call by every peer, then our loop, in each dtype."""
    return [case for dtype in dtypes() for case in _cases_of(dtype)]


def _cases_of(dtype: str) -> list[Case]:
    peers = [case for case in cases_of(dtype) if "+gradients" not in case.name]
    return [*peers, Case(peers[0].name, "sciml_lux train_steps", _loop(problem_of(dtype)))]


def _loop(problem: Problem) -> Run:
    model, ps, st, x, y = problem
    tstate = training.TrainState(model, ps, st, optax.adam(LEARNING_RATE))

    def run(n: int) -> np.floating:
        nonlocal tstate
        values, _, tstate = training.train_steps(
            training.AutoReverse(), losses.MSELoss(), (x, y), tstate, steps=n
        )
        # NumPy's indexing: one more program of JAX would cost as much as five steps.
        return np.asarray(values)[-1]

    return run
