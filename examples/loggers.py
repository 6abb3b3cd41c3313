"""Loggers for `fit`: three methods each, here for TensorBoard and for a file of JSON lines.

python examples/loggers.py                   # writes runs/loggers/log.jsonl
python examples/loggers.py --tensorboard     # and runs/loggers/tensorboard, with tensorboardX
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, training


class JSONLines:
    """One line of JSON for each call, appended to the file."""

    def __init__(self, path):
        self.path = Path(path)

    def log_scalars(self, step, values):
        self._write({"step": step} | dict(values))

    def log_params(self, values):
        self._write({"params": dict(values)})

    def close(self):
        pass

    def _write(self, line):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")


class TensorBoard:
    """For a SummaryWriter, of tensorboardX or of torch.utils.tensorboard."""

    def __init__(self, writer):
        self.writer = writer

    def log_scalars(self, step, values):
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def log_params(self, values):
        for name, value in values.items():
            self.writer.add_text(name, str(value))

    def close(self):
        self.writer.close()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Training with loggers")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("runs/loggers"))
    parser.add_argument("--tensorboard", action="store_true")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    loggers: list[training.Logger] = [JSONLines(options.output / "log.jsonl")]
    if options.tensorboard:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

        loggers.append(TensorBoard(SummaryWriter(str(options.output / "tensorboard"))))

    model = nn.Chain(nn.Dense(1, 16, nn.tanh), nn.Dense(16, 1))
    tstate = training.TrainState(model, *lux.setup(jax.random.key(0), model), optax.adam(1e-2))
    x = jnp.linspace(-1.0, 1.0, 64, dtype=jnp.float32)[:, None]
    rate = {"learning_rate": 1e-2}
    return training.fit(
        tstate,
        losses.MSELoss(),
        (x, jnp.sin(3.0 * x)),
        steps=options.steps,
        validation=(x[::2], jnp.sin(3.0 * x[::2])),
        callbacks=[training.LogTo(logger, every=100, params=rate) for logger in loggers],
    )


if __name__ == "__main__":
    main()
