"""Loggers: losses to whatever keeps track of experiments."""

from collections.abc import Mapping
from typing import Protocol

from ...core import parameter_length
from ..records._fit_run import FitRun
from ._callback import Callback


class Logger(Protocol):
    """What `LogTo` writes to: any object with these three methods.

    Example:
        The writers of TensorBoard (`torch.utils.tensorboard`, tensorboardX, clu) fit so:

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
    """

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step, by name."""
        ...

    def log_params(self, values: Mapping[str, object]) -> None:
        """What the run was made with, by name."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class LogTo(Callback):
    """Pass losses, and the real scalars among the stats of the objective, on to a logger.

    They are called `loss`, `validation` and `stats.name`.

    Args:
        logger: has `log_scalars(step, values)`, `log_params(values)` and `close()`.
        every: steps between two losses. Each validation is passed on.
        params: more for `log_params`, beside the model, its size and the number of steps.

    Raises:
        TypeError: the logger lacks a method.
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
        """Log what the run is made with."""
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
