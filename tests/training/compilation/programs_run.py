"""Prints the digests of some programs of a step; run in a process of its own by a test."""

import functools

import jax
import jax.numpy as jnp
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, ode, training
from sciml_lux.training.compilation._settings import settings_of
from sciml_lux.training.compilation._step_program import step_program
from sciml_lux.training.data._source_of import source_of
from sciml_lux.training.state._finite import watched_leaves
from sciml_lux.training.steps._chunk import ChunkFunction

X = jnp.linspace(0.0, 1.0, 8, dtype=jnp.float32)[:, None]


def program(model, optimizer=None, objective=None, data=None):
    """The record of the program of a step, as `fit` makes it."""
    objective = losses.MSELoss() if objective is None else objective
    optimizer = optax.adam(1e-2) if optimizer is None else optimizer
    ps, st = lux.setup(0, model, dtype=jnp.float32)
    tstate = training.TrainState(model, ps, st, optimizer)
    feed = source_of((X, X) if data is None else data).feed(0)
    watched = watched_leaves(tstate)
    take = ChunkFunction(training.AutoReverse(), objective, feed.reader, watched)
    settings = settings_of(model=model, objective=objective, optimizer=optimizer)
    return step_program(take.program(tstate, feed), settings)


@nn.compact(dense=nn.Dense(1, 2), scale=jnp.arange(20, dtype=jnp.float32), options={"a": 1, "b": 2})
def net(m, x):
    y = nn.relu(m.dense(x)) * m.scale[None, :2]
    return jnp.sum(y, axis=-1, keepdims=True)


def sampled(key):
    x = jax.random.uniform(key, (4, 1), jnp.float32)
    return x, x


PROGRAMS = {
    "dropout": lambda: program(nn.Chain(nn.Dense(1, 1, lambda x: x**2), nn.Dropout(0.5))),
    "compact": lambda: program(net, optax.lbfgs()),
    "batches": lambda: program(
        nn.Dense(1, 1), data=training.Batches({"x": X, "y": X}, 3, key=1), objective=by_name
    ),
    "sampled": lambda: program(nn.Dense(1, 1, nn.gelu), data=training.Sampled(sampled, 0)),
    "ode": lambda: program(ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0)), optax.adamw(1e-2)),
}


def by_name(model, ps, st, data):
    return losses.MSELoss()(model, ps, st, (data["x"], data["y"]))


@functools.cache
def made(name):
    """The program of that name, made once in each process."""
    return PROGRAMS[name]()


def digests():
    """A line for each program."""
    return [
        f"{name} {made(name).digest} {sorted(made(name).settings.items())}" for name in PROGRAMS
    ]


if __name__ == "__main__":
    for name in reversed(PROGRAMS):  # Other caches are warm for each than in the process of a test.
        made(name)
    print(*digests(), sep="\n")
