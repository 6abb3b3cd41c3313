"""Callback: what runs between the steps of a fit."""

from ..records._fit_run import FitRun


class Callback:
    """Base of callbacks; its methods do nothing.

    Attributes:
        every: call `on_steps` after every so many steps of the fit; None calls it about four times
            a second.

    An error in a method ends the fit; the state before it is in the checkpoint.

    Source: the `callback` of Optimization.jl, which also may end the training.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> class StopBelow(training.Callback):
        ...     every = 10
        ...     def on_steps(self, run):
        ...         if run.losses[-1] < 1e-2:
        ...             run.stop(f"good after {run.done} steps")
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.5))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> result = training.fit(ts, losses.MSELoss(), (x, 2 * x), steps=500, progress=False,
        ...                       callbacks=[StopBelow()])
        >>> result.message == f"good after {len(result.losses)} steps"
        True
    """

    every: int | None = None

    def on_start(self, run: FitRun) -> None:
        """Called once, before the first step; in a resumed fit `run` has the steps taken."""

    def on_steps(self, run: FitRun) -> None:
        """Called after `every` steps."""

    def on_validation(self, run: FitRun) -> None:
        """Called after each validation, the newest of `run.validation`, before `on_steps`."""

    def on_end(self, run: FitRun) -> None:
        """Called once, however the fit ends; the checkpoint is written by then."""
