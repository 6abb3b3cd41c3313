"""Operators inside `jax.shard_map`, which tells arrays that differ between devices from others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from sciml_lux import autodiff
from tests.autodiff.networks import network

pytestmark = pytest.mark.any_precision
F = network(jnp.float32)
X = jnp.asarray([[0.3, -0.7], [1.1, 0.4]], jnp.float32)
V = jnp.asarray([1.0, 0.5], jnp.float32)
KEY = jax.random.key(0)


def all_of(ps, x):
    """Operators that take directions of all kinds: units, given ones, rows, random ones."""
    f = lambda x: F(x, ps)[:, 0]
    flow = lambda x: x * f(x)[:, None]
    flux = lambda x, u, gradient: u[:, None] * gradient
    return jnp.stack(
        [
            autodiff.gradient(f, x)[:, 0],
            autodiff.hvp(f, x, V)[:, 0],
            autodiff.jacobian(flow, x, mode="reverse")[:, 0, 1],
            autodiff.directional_derivative(f, x, V, order=3),
            autodiff.partial(f, x, "xxy"),
            autodiff.laplacian(f, x),
            autodiff.second_order_operator(f, x, jnp.outer(V, V)),
            autodiff.flux_divergence(f, x, flux),
            autodiff.divergence(flow, x),
            autodiff.stochastic_divergence(flow, x, KEY),
        ],
        axis=1,
    )


def test_operators_and_their_gradients_inside_shard_map():
    mesh = Mesh(np.array(jax.devices()[:1]), ("samples",))
    samples, shared = PartitionSpec("samples"), PartitionSpec()
    sharded = jax.shard_map(all_of, mesh=mesh, in_specs=(shared, samples), out_specs=samples)

    def value_and_gradient(of, ps, x):
        return of(ps, x), jax.grad(lambda ps: jnp.sum(of(ps, x) ** 2))(ps)

    both = jax.jit(lambda *args: [value_and_gradient(of, *args) for of in (sharded, all_of)])
    (found, slopes), (expected, of_each) = both(F.ps, X)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for slope, wanted in zip(jax.tree.leaves(slopes), jax.tree.leaves(of_each), strict=True):
        np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-5)
