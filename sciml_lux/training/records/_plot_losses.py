"""plot_losses: the losses of a fit as a plot."""

import os
from pathlib import Path

import numpy as np

from ._fit_result import FitResult


def plot_losses(result: FitResult, path: str | os.PathLike) -> Path:
    """Draw the losses of `result`, and those on held-out data, over the steps.

    The axis of losses is logarithmic where they are all positive.

    Args:
        result: of `fit` or `minimise`.
        path: of the plot; its suffix is the format. Folders are made.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `result` has no losses.

    Example:
        >>> import tempfile, jax, optax
        >>> from sciml_lux import nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.1))
        >>> result = training.FitResult(ts.replace(step=3), np.asarray([1.0, 0.5, 0.25]))
        >>> training.plot_losses(result, tempfile.mkdtemp() + "/losses.svg").name
        'losses.svg'
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`plot_losses` needs matplotlib. Install it with pip install 'sciml_lux[plots]'."
        ) from error
    if not len(result.losses):
        raise ValueError("`plot_losses` expects a result with losses, got one of 0 steps.")
    file = Path(path).expanduser()
    # The last loss is that of the last step, also if losses of an earlier fit come before.
    first = int(result.tstate.step) - len(result.losses)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(first + np.arange(len(result.losses)), result.losses, lw=1, label="training")
    held_out = result.validation
    if len(held_out.steps):
        axes.plot(held_out.steps, held_out.losses, "o-", ms=3, label="validation")
        axes.legend(frameon=False)
    every = np.concatenate([result.losses, held_out.losses])
    if np.all(every > 0):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    return file
