"""What `fit` says of a step that it refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..core import path_name
from ._run import FitResult, Run
from ._sources import Feed


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or an update is not finite.

    Attributes:
        result: of the fit up to the last good state.
    """

    def __init__(self, message: str, result: FitResult) -> None:
        super().__init__(message)
        self.result = result


def refusal(run: Run, feed: Feed, finite: np.ndarray, file: Path | None) -> NonFiniteError:
    """The error of the step after `run`, with the first thing that is not finite."""
    kept = f"; the last good state is in {file}" if file is not None and run.done else ""
    message = (
        f"{_name(run, finite)} is not finite at step {run.step}, so the update was "
        f"refused{kept}. {_data(run, feed)}"
    )
    return NonFiniteError(
        message, FitResult(run.tstate, run.losses, validation=run.validation, best=run.best)
    )


def _name(run: Run, finite: np.ndarray) -> str:
    """The first of the loss, the gradients and the new parameters that is not finite."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(run.tstate.parameters)]
    names = [f"`{path_name(path)}`" for path in paths]
    everything = [
        "the loss",
        *(f"the gradient of {name}" for name in names),
        *(f"the new {name}" for name in names),
    ]
    return everything[int(np.argmin(finite))]


def _data(run: Run, feed: Feed) -> str:
    """The first entry of the batch that is not finite, or general advice."""
    rows = feed.reader.rows(feed.plan, feed.place)
    for path, leaf in jax.tree_util.tree_leaves_with_path(feed.batch(run.step)):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            continue
        bad = np.argwhere(~np.asarray(jnp.isfinite(leaf)))
        if len(bad):
            index = bad[0].tolist()
            value = np.asarray(leaf)[tuple(index)]
            if rows is not None:
                index[0] = int(rows[index[0]])
            where = f"[{', '.join(map(str, index))}]" if index else ""
            name = f"data{jax.tree_util.keystr(path)}{where}"
            return f"{feed.label(run.done)}`{name}` is {value}: mend the data or leave it out."
    return "Lower the learning rate, clip gradients, or look at the data."
