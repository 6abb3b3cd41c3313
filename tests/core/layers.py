"""Small layers that the tests of `core` share."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sciml_lux import Layer, Record, Static, apply


class Scale(Layer):
    """What an author writes: fields, parameters, call."""

    dims: int

    def initial_parameters(self, key, dtype):
        return Record(scale=jnp.ones(self.dims, dtype))

    def __call__(self, x, ps, st):
        return x * jnp.broadcast_to(ps.scale, x.shape), st


class Running(Layer):
    """A state of every kind: counter, flag, running array, random key."""

    dims: int

    def initial_states(self, key, dtype):
        return Record(
            count=jnp.zeros((), jnp.int32),
            training=Static(True),
            mean=jnp.zeros(self.dims, dtype),
            key=key,
        )

    def __call__(self, x, ps, st):
        if not st.training:
            return x - st.mean, st
        mean = st.mean + x
        key = jax.random.fold_in(st.key, 1)
        return x - mean, st | {"count": st.count + 1, "mean": mean, "key": key}


class Duck:
    """The three methods and nothing else."""

    def initial_parameters(self, key, dtype):
        return {"shift": jnp.ones(2, dtype)}

    def initial_states(self, key, dtype):
        return {}

    def __call__(self, x, ps, st):
        return x + jnp.broadcast_to(ps["shift"], x.shape), st


class Pair(Layer):
    """A container that writes only its call; one child is a tuple of layers."""

    first: Any
    rest: tuple[Any, ...]

    def __call__(self, x, ps, st):
        x, first = apply(self.first, x, ps.first, st.first)
        states = {}
        for i, layer in enumerate(self.rest, start=1):
            name = f"layer_{i}"
            x, states[name] = apply(layer, x, getattr(ps.rest, name), getattr(st.rest, name))
        return x, st | {"first": first, "rest": st.rest | states}


class Returns(Layer):
    """A layer that returns whatever its function makes of `(x, ps, st)`, state of ours."""

    function: Any

    def initial_states(self, key, dtype):
        return Record(mean=jnp.zeros(2, dtype))

    def __call__(self, x, ps, st):
        return self.function(x, ps, st)


class DensePs(NamedTuple):
    """The parameters of a Dense as a NamedTuple."""

    weight: Any
    bias: Any
