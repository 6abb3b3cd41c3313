"""The small models and data that the training tests share."""

import jax
import jax.numpy as jnp
import optax

import sciml_lux as lux
from sciml_lux import nn, training

AD = training.AutoReverse()


def line_data(dtype):
    x = jnp.linspace(-1.0, 1.0, 8, dtype=dtype)[:, None]
    return x, 2 * x + 1


def tiny_state(dtype, optimizer=None, model=None):
    model = model or nn.Chain(nn.Dense(1, 4, nn.tanh), nn.Dense(4, 1))
    ps, st = lux.setup(jax.random.key(0), model, dtype=dtype)
    return training.TrainState(model, ps, st, optimizer or optax.adam(1e-2))


def assert_same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype and words(a) == words(b)


def words(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return (jax.random.key_data(leaf) if is_key else leaf).tobytes()
