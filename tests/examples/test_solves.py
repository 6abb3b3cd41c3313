"""Jobs that users bring from elsewhere: each example does what it says."""

import numpy as np
import pytest

from examples import controlled, trajectories, uncertainty
from tests.conftest import needs_x64

pytestmark = needs_x64


def test_field_is_learned_from_masked_times_without_compiling_again():
    assert trajectories.main(["--epochs", "60", "--trajectories", "48"]) < 1e-2
    problem, states = trajectories.recordings(3, 5)
    assert np.isnan(states).any() and not np.isnan(states[problem.mask]).any()
    exact = trajectories.up_to(1.0, problem, states)
    assert (exact[0].ts[exact[0].mask] <= 1.0).all() and exact[2].any() and not exact[2].all()


def test_recordings_are_of_the_matrix():
    problem, states = trajectories.recordings(2, 6)
    for start, ts, seen, found in zip(problem.u0, problem.ts, problem.mask, states, strict=True):
        for t, is_seen, state in zip(ts, seen, found, strict=True):
            if is_seen:
                # exp(t (a I + b J)) = exp(a t) (cos(b t) I + sin(b t) J)
                c, s = np.cos(2 * t), np.sin(2 * t)
                rotation = np.asarray([[c, s], [-s, c]])
                np.testing.assert_allclose(state, np.exp(-0.3 * t) * rotation @ start, rtol=1e-12)


@pytest.mark.slow
def test_mass_is_found_from_a_batch_of_signals():
    assert abs(controlled.main(["--steps", "400", "--drives", "8"]) - 1.6) < 0.15


def test_rates_are_within_their_errors():
    z = uncertainty.main([])
    assert (np.abs(z) < 4).all() and np.abs(z).max() > 0.1
