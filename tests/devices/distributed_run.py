"""A training whose result does not depend on how many devices it runs on; run as a script.

    python distributed_run.py FOLDER [stop | go_on]

The first process writes result.npz. With `stop` the last process kills itself in a long fit, as
soon as the first has written a checkpoint; with `go_on` the fit goes on from it, and must come to
the bits of one that was never stopped.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from sciml_lux import devices, training

if __name__ == "__main__":
    devices.initialize_distributed()

import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml_lux as lux
from sciml_lux import io, losses, nn

AD = training.AutoReverse()
MSE = losses.MSELoss()
ADAM = optax.adam(1e-2)


def start(seed):
    # Batch statistics and dropout show whether devices see the whole batch; no bias before
    # BatchNorm, since its gradient is nothing but rounding, of which Adam makes full steps.
    model = nn.Chain(
        nn.Dense(2, 6, use_bias=False),
        nn.BatchNorm(6, nn.tanh),
        nn.Dropout(0.3),
        nn.Dense(6, 1),
    )
    ps, st = lux.setup(jax.random.key(seed), model, dtype=jnp.float64)
    return training.TrainState(model, ps, lux.trainmode(st), ADAM)


def arrays():
    x = np.random.default_rng(0).normal(size=(16, 2))
    return x, np.sin(x[:, :1])


def train(tstate, whole, batch, stacked, checkpoint=None):
    """All three ways to train; leaves by path, and the losses."""
    _, _, _, tstate = training.single_train_step(AD, MSE, batch, tstate)
    values, _, tstate = training.train_steps(AD, MSE, stacked, tstate)
    result = training.fit(
        tstate, MSE, whole, steps=6, checkpoint=checkpoint, checkpoint_every=4, progress=False
    )
    return tstate, {"values": np.asarray(values)} | numbers(result)


def numbers(result):
    """The losses, and the leaves by path; keys as their words."""
    found = {"losses": result.losses}
    for path, leaf in jax.tree_util.tree_leaves_with_path(result.tstate):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        words = jax.random.key_data(leaf) if is_key else leaf
        found[jax.tree_util.keystr(path, simple=True, separator=".")] = np.asarray(words)
    return found


ROWS = np.random.default_rng(1).permutation(16)[:8]
STEPS = np.random.default_rng(2).integers(0, 16, (3, 8))


def on_one_device(change=lambda leaf: leaf):
    x, y = map(change, arrays())
    take = lambda rows: (jnp.asarray(x[rows]), jnp.asarray(y[rows]))
    return train(start(0), take(slice(None)), take(ROWS), take(STEPS))[1]


def divided(folder):
    process = jax.process_index()
    first = devices.synchronize(start(process))  # The others begin elsewhere.
    data = devices.DistributedData(arrays())
    own = jax.tree.map(lambda leaf: leaf[data.rows], arrays())
    whole = devices.shard_batch(own)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(data.arrays), strict=True):
        assert one.sharding == other.sharding
        for mine, theirs in zip(one.addressable_shards, other.addressable_shards, strict=True):
            assert np.array_equal(mine.data, theirs.data)
    file = folder / "run.ckpt"
    tstate, found = train(first, whole, data[ROWS], data[STEPS], file)
    leaf = tstate.parameters.layer_1.weight
    assert leaf.is_fully_replicated and len(leaf.sharding.device_set) == jax.device_count()
    # From what the first process wrote, all go on to the bits of a run without a break.
    again = training.fit(tstate, MSE, whole, steps=9, checkpoint=file, resume=True, progress=False)
    whole_run = training.fit(tstate, MSE, whole, steps=9, progress=False)
    again, whole_run = numbers(again), numbers(whole_run)
    for name, value in whole_run.items():
        assert value.tobytes() == again[name].tobytes(), name
    if process == 0:
        np.savez(folder / "result.npz", **found)
    check_refusals(process, tstate, whole, folder)


def check_refusals(process, first, whole, folder):
    """What the processes disagree in is said on all of them, and none waits for ever."""
    if jax.process_count() == 1:
        return
    uneven = {"a": np.zeros((4, 1 + process))}
    differs = "process 1 differs from process 0 at `a`"
    check_refusal(lambda: devices.synchronize(uneven), differs)
    check_refusal(lambda: devices.DistributedData(uneven), differs)
    check_refusal(lambda: devices.shard_batch(np.zeros(2 + 2 * process)), "got [2, 4]. Cut them")
    check_refusal(lambda: devices.synchronize({"x": whole[0]}), "`x` is divided between processes")
    check_refusal(lambda: lux.cpu_device()(whole), "`0` is divided between processes")
    file = folder / ("elsewhere.ckpt" if process else "run.ckpt")
    go_on = lambda: training.fit(first, MSE, whole, steps=9, checkpoint=file, resume=True)
    check_refusal(go_on, "from different steps, [9, 0]")


def check_refusal(call, text):
    try:
        call()
    except (ValueError, TypeError) as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"not refused: {text}")


def stop(folder):
    file = folder / "run.ckpt"

    def kill():
        while not file.exists():
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    if jax.process_index() == jax.process_count() - 1:
        threading.Thread(target=kill, daemon=True).start()
    data = devices.DistributedData(arrays())
    tstate = devices.synchronize(start(0))
    training.fit(
        tstate, MSE, data.arrays, steps=10**9, checkpoint=file, checkpoint_every=50, progress=False
    )


def go_on(folder):
    file = folder / "run.ckpt"
    steps = len(io.load_checkpoint(file).metadata["losses"]) + 20
    data = devices.DistributedData(arrays()).arrays
    tstate = devices.synchronize(start(0))
    again = training.fit(
        tstate, MSE, data, steps=steps, checkpoint=file, resume=True, progress=False
    )
    again, unbroken = (
        numbers(again),
        numbers(training.fit(tstate, MSE, data, steps=steps, progress=False)),
    )
    for name, value in unbroken.items():
        assert value.tobytes() == again[name].tobytes(), name


if __name__ == "__main__":
    {"stop": stop, "go_on": go_on, "": divided}["".join(sys.argv[2:])](Path(sys.argv[1]))
