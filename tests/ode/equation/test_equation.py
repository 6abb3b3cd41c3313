"""What a vector field closes over: its derivatives, and who keeps it."""

import gc
import weakref

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import ode
from tests.conftest import slow

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ADJOINTS = [
    diffrax.RecursiveCheckpointAdjoint(),
    pytest.param(diffrax.DirectAdjoint(), marks=slow),
    pytest.param(diffrax.BacksolveAdjoint(), marks=slow),
]


def scaled(factor, adjoint):
    def known(t, u, physics, terms):
        return physics.rate * factor[:2] * u

    return ode.UDE(
        known, {}, (0.0, 1.0), {"rate": 0.5}, solver=diffrax.Heun(), dt0=0.25, adjoint=adjoint
    )


def final_sum(factor, rate, adjoint):
    ps = lux.Record(physics=lux.Record(rate=rate), terms=lux.Record())
    y, _ = scaled(factor, adjoint)(jnp.ones(2, rate.dtype), ps, lux.Record(terms=lux.Record()))
    return jnp.sum(y)


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=lambda adjoint: type(adjoint).__name__)
def test_gradient_reaches_what_the_field_closes_over_which_is_freed_with_it(adjoint, dtype):
    rate, factor = jnp.asarray(0.5, dtype), jnp.asarray([1.0, 2.0], dtype)
    found = jax.jit(jax.grad(lambda factor: final_sum(factor, rate, adjoint)))(factor)
    # Of exp(r c); Heun's error with four steps, and Backsolve's own.
    np.testing.assert_allclose(found, 0.5 * np.exp([0.5, 1.0]), rtol=0.05)

    def used():
        factor = jnp.arange(1.0, 1025.0, dtype=dtype)
        gradient = jax.jit(jax.grad(lambda rate: final_sum(factor, rate, adjoint)))
        assert jnp.isfinite(gradient(jnp.asarray(0.5, dtype)))
        return weakref.ref(factor)

    # The loops of equinox keep what the first call in a process closed over, which was above.
    kept = used()
    gc.collect()
    assert kept() is None
