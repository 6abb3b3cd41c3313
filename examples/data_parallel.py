"""Data parallelism: one network, its data divided between the devices of all processes.

    python examples/data_parallel.py                                        # one process
    python -m sciml_lux.devices --processes 2 examples/data_parallel.py    # two, on this machine

Both print the same losses, up to rounding. `--resume` resumes after an interruption.
"""

import argparse
from pathlib import Path

from sciml_lux import devices

if __name__ == "__main__":
    devices.initialize_distributed()  # Before anything that makes an array.

import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, training


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy wave, the same on every process: x (count, 1) and y (count, 1)."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-1.0, 1.0, (count, 1))
    return x, np.sin(6.0 * x) + 0.05 * generator.normal(size=x.shape)


def main(arguments: list[str] | None = None) -> np.ndarray:
    parser = argparse.ArgumentParser(description="Data-parallel training")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--output", type=Path, default=Path("runs/data_parallel"))
    parser.add_argument("--resume", action="store_true", help="resume from the checkpoint")
    options = parser.parse_args(arguments)

    model = nn.Chain(nn.Dense(1, 32, nn.tanh), nn.Dense(32, 32, nn.tanh), nn.Dense(32, 1))
    ps, st = lux.setup(jax.random.key(0), model, dtype=jnp.float64)
    tstate = training.TrainState(model, ps, st, optax.adam(3e-3))

    tstate = devices.synchronize(tstate)  # With the values of the first process.
    data = devices.DistributedData(rows(options.rows))  # Each device gets its part of the rows.
    result = training.fit(
        tstate,
        losses.MSELoss(),
        data.arrays,
        steps=options.steps,
        checkpoint=options.output / "checkpoint.ckpt",
        resume=options.resume,
    )
    if jax.process_index() == 0:
        print(f"{jax.process_count()} processes, {jax.device_count()} devices, {len(data)} rows")
        print(f"loss {result.losses[0]:.12e} -> {result.losses[-1]:.12e}")
    return result.losses


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
