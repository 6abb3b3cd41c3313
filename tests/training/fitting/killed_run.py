"""A training to be killed: `python -m tests.training.fitting.killed_run` reads orders from stdin.

Importing JAX is the dear part of a start, so it is done once, and each training is a fork made
before JAX is used: no thread has begun and no backend is up. Orders are `start OPTIMIZER STEPS
FOLDER`, `kill` and `wait`. On standard output the training writes `begun K` before, and `saved K`
after, the checkpoint of step K is written; the parent writes `ended STATUS`. What was written to a
pipe outlives the writer.
"""

import os
import signal
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, training

OPTIMIZERS = {"adam": lambda: optax.adam(1e-2), "lbfgs": optax.lbfgs}
OBJECTIVE = losses.MSELoss()
X = np.cos(np.arange(32.0)).reshape(16, 2)
Y = np.sin(3 * X[:, :1])


class Ballast(lux.Layer):
    """Nothing but a megabyte of state: a small file is written too fast to be hit half-way."""

    def initial_states(self, key, dtype):
        return lux.Record(ballast=jnp.asarray(np.arange(2.0**17), dtype))

    def __call__(self, x, ps, st):
        return x, st


def start(optimizer):
    """The first state; with a random key in it, and without a random number, to begin quickly."""
    model = nn.Chain(nn.Dense(2, 4, nn.tanh), nn.Dropout(0.1), nn.Dense(4, 1), Ballast())
    parameters = jax.tree.map(
        lambda leaf: jnp.asarray(np.cos(1.0 + np.arange(leaf.size)).reshape(leaf.shape)),
        lux.core.parameter_structure(model, jnp.float64),
    )
    states = model.initial_states(jax.random.key(5), jnp.float64)
    return training.TrainState(model, parameters, states, OPTIMIZERS[optimizer]())


def batch(step):
    """Four of the sixteen rows, others at each step."""
    key = jax.random.fold_in(jax.random.key(2), step)
    rows = jax.random.choice(key, 16, (4,), replace=False)
    return jnp.asarray(X)[rows], jnp.asarray(Y)[rows]


def fit(tstate, steps, **options):
    return training.fit(tstate, OBJECTIVE, batch, steps=steps, progress=False, **options)


def _say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # One write: whole or not at all.


def _report_saves():
    save = training.fitting._saver.save_checkpoint

    def reporting(file, metadata, **trees):
        _say("begun", len(metadata["losses"]))
        save(file, metadata, **trees)
        _say("saved", len(metadata["losses"]))

    training.fitting._saver.save_checkpoint = reporting


def _train(optimizer, steps, folder):
    # Every life after the first finds its programs here, as a user's would.
    jax.config.update("jax_compilation_cache_dir", folder + ".programs")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    _report_saves()
    fit(start(optimizer), int(steps), checkpoint=folder, checkpoint_every=1, resume=True)


def _fork(*words):
    if os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a thread has begun: a fork would lose it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # JAX warns of any fork.
        child = os.fork()
    if child == 0:
        status = 1
        try:
            _train(*words)
            status = 0
        finally:
            os._exit(status)
    return child


def main():
    jax.config.update("jax_numpy_rank_promotion", "raise")
    child = 0
    for order, *words in map(str.split, sys.stdin):
        if order == "start":
            child = _fork(*words)
            continue
        if order == "kill":
            os.kill(child, signal.SIGKILL)  # It may have ended; it is ours until it is waited for.
        _say("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
