"""Vector fields with closed-form flows, as layers; shared so that a solve compiles once."""

import jax
import jax.numpy as jnp

import sciml_lux as lux


class Decay(lux.Layer):
    """du/dt = -rate u; u(t) = u0 exp(-rate t)."""

    def initial_parameters(self, key, dtype):
        return lux.Record(rate=jnp.asarray(0.7, dtype))

    def __call__(self, u, ps, st):
        return jax.tree.map(lambda leaf: -ps.rate * leaf, u), st


class Logistic(lux.Layer):
    """du/dt = r u (1 - u); u(t) = u0 eʳᵗ / (1 + u0 (eʳᵗ - 1))."""

    def initial_parameters(self, key, dtype):
        return lux.Record(r=jnp.asarray(1.3, dtype))

    def __call__(self, u, ps, st):
        return ps.r * u * (1 - u), st


def logistic(u0, r, t):
    growth = jnp.exp(r * t)
    return u0 * growth / (1 + u0 * (growth - 1))


class Returns(lux.Layer):
    """A vector field that returns something of its own."""

    what: str

    def __call__(self, u, ps, st):
        if self.what == "float32":
            return u.astype(jnp.float32), st
        if self.what == "scalar":
            return jnp.sum(u), st
        return {"u": u}, st
