"""Logger, LogTo: losses passed to a tool that tracks experiments."""

from collections.abc import Mapping
from typing import Protocol

from ...core import parameter_length
from ..records._fit_run import FitRun
from ._callback import Callback


class Logger(Protocol):
    """What `LogTo` writes to: any object with these three methods.

    Example:
        For the writers of TensorBoard (`torch.utils.tensorboard`, tensorboardX, clu):

        >>> class TensorBoard:
        ...     def __init__(self, writer):
        ...         self.writer = writer
        ...     def log_scalars(self, step, values):
        ...         for name, value in values.items():
        ...             self.writer.add_scalar(name, value, step)
        ...     def log_params(self, values):
        ...         for name, value in values.items():
        ...             self.writer.add_text(name, str(value))
        ...     def close(self):
        ...         self.writer.close()
        >>> class Printer:
        ...     def add_scalar(self, name, value, step):
        ...         print(step, name, value)
        >>> TensorBoard(Printer()).log_scalars(7, {"loss": 0.5})
        7 loss 0.5
    """

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step, by name."""
        ...

    def log_params(self, values: Mapping[str, object]) -> None:
        """The settings of the run, by name; called once, first."""
        ...

    def close(self) -> None:
        """Called at the end of the fit."""
        ...


class LogTo(Callback):
    """Pass losses, and the real scalars among the stats of the objective, on to a logger.

    They are called `loss`, `validation` and `stats.name`.

    Args:
        logger: has `log_scalars(step, values)`, `log_params(values)` and `close()`.
        every: steps between two losses. Each validation is passed on.
        params: what `log_params` gets beside the model, its size and the number of steps.

    Raises:
        TypeError: the logger lacks a method.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> class Printer:
        ...     def log_scalars(self, step, values):
        ...         print(step, values)
        ...     def log_params(self, values):
        ...         print(values)
        ...     def close(self):
        ...         print("end")
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.25))
        >>> data = jnp.ones((8, 1), jnp.float32), jnp.full((8, 1), 3, jnp.float32)
        >>> _ = training.fit(ts, losses.MSELoss(), data, steps=2, progress=False,
        ...                  callbacks=[training.LogTo(Printer(), every=1)])
        {'model': 'Scale(1, use_bias=False)', 'parameters': 1, 'steps': 2}
        0 {'loss': 4.0}
        1 {'loss': 1.0}
        end
    """

    def __init__(
        self, logger: Logger, *, every: int = 100, params: Mapping[str, object] | None = None
    ) -> None:
        for name in ("log_scalars", "log_params", "close"):
            if not callable(getattr(logger, name, None)):
                raise TypeError(
                    f"`LogTo` expects a logger with log_scalars, log_params and close, got "
                    f"{type(logger).__name__} without {name}."
                )
        self.logger, self.every, self.params = logger, every, dict(params or {})

    def on_start(self, run: FitRun) -> None:
        """Log the settings of the run."""
        about = {
            "model": repr(run.tstate.model),
            "parameters": parameter_length(run.tstate.model),
            "steps": run.steps,
        }
        self.logger.log_params(about | self.params)

    def on_steps(self, run: FitRun) -> None:
        """Log the loss and the stats before the last step."""
        stats = {
            f"stats.{name}" if name else "stats": float(column[-1])
            for name, column in run.snapshot.stats.columns.items()
        }
        self.logger.log_scalars(run.step - 1, {"loss": float(run.losses[-1])} | stats)

    def on_validation(self, run: FitRun) -> None:
        """Log the loss on held-out data."""
        self.logger.log_scalars(run.step, {"validation": float(run.validation.losses[-1])})

    def on_end(self, run: FitRun) -> None:
        """Close the logger."""
        self.logger.close()
