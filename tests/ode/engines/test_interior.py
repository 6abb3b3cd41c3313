"""States at times inside a solve on diffrax keep the tolerance."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from tests.conftest import needs_x64
from tests.ode.problems import Flow

pytestmark = needs_x64


@pytest.mark.parametrize(
    ("solver", "rate", "backwards"),
    [(diffrax.Dopri8(), 1.0, True), (diffrax.Kvaerno5(), 1e4, False)],
    ids=["Dopri8", "Kvaerno5"],
)
def test_states_inside_are_as_good_as_the_end(solver, rate, backwards):
    # A component that is pulled to cos t, and one that is slow.
    sign = -1 if backwards else 1
    field = lambda t, u: (-sign * rate * (u[0] - jnp.cos(t)) - jnp.sin(t), -sign * u[1] ** 2)
    times = np.append([0.0, 1e-3], np.linspace(0.1, 6.0, 20).repeat(2))  # Each one twice.
    node = Flow(field, (0.0, sign * 6.0), saveat=sign * times, solver=solver, rtol=1e-8, atol=1e-8)
    us, _ = node(jnp.ones(2), lux.Record(), lux.Record())
    error = np.abs(us - np.stack([np.cos(times), 1 / (1 + times)], 1)).max(1) / 1e-8
    assert np.max(error) < 3 and error[-1] < 1  # Interpolated they are 8 and 600.


def test_more_times_than_64_are_interpolated():
    def steps(n):
        field = lambda t, u: (-u,)
        node = Flow(field, (0.0, 1.0), saveat=np.linspace(0, 1, n), solver=diffrax.Dopri8())
        return int(node.solve(jnp.ones(1), lux.Record(), lux.Record())[0].stats.num_steps)

    assert steps(64) > 60 and steps(65) < 10
