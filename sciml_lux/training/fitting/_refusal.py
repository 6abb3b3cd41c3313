"""The error of a step and the warning of a validation that are not finite."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core.internal import path_name
from ..data._source import Feed
from ..records._fit_result import FitResult
from ..records._snapshot import Snapshot
from ..state._finite import checked_names


class NonFiniteError(FloatingPointError):
    """A loss, a gradient, or a parameter or state after a step, is not finite.

    Attributes:
        result: of the fit up to the last finite state.

    Example:
        >>> import optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.25))
        >>> data = jnp.ones((2, 1), jnp.float32), jnp.asarray([[3], [jnp.inf]], jnp.float32)
        >>> try:
        ...     training.fit(ts, losses.MSELoss(), data, steps=2, progress=False)
        ... except training.NonFiniteError as error:
        ...     print(error)
        the loss is not finite at step 0, so the update was refused. `data[1][1, 0]` is inf: correct
        the data or leave it out.
    """

    def __init__(self, message: str, result: FitResult) -> None:
        super().__init__(message)
        self.result = result


class NonFiniteWarning(UserWarning):
    """The loss on held-out data is not finite.

    Example:
        >>> import warnings, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Scale(1, use_bias=False)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.sgd(0.25))
        >>> data = jnp.ones((2, 1), jnp.float32), jnp.ones((2, 1), jnp.float32)
        >>> held_out = data[0], data[1] * jnp.inf
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always", training.NonFiniteWarning)
        ...     result = training.fit(ts, losses.MSELoss(), data, steps=1, progress=False,
        ...                           validation=held_out, validation_every=1)
        >>> print(caught[0].message)
        `fit`: the loss on `validation` is inf at step 1. `validation[1][0, 0]` is inf: correct the
        data or leave it out.
    """


def refusal(
    snapshot: Snapshot, feed: Feed, finite: np.ndarray, watched: tuple[int, ...], file: Path | None
) -> NonFiniteError:
    """The error of the step after `snapshot`, which names the first thing that is not finite."""
    saved = f"; the last good state is in {file}" if file is not None and snapshot.done else ""
    advice = (
        _entry(feed, feed.batch(snapshot.step), feed.label(snapshot.done))
        or "Lower the learning rate, clip gradients, or look at the data."
    )
    name = _name(snapshot, finite, watched)
    message = (
        f"{name} is not finite at step {snapshot.step}, so the update was refused{saved}. {advice}"
    )
    return NonFiniteError(message, snapshot.result())


def validation_warning(loss: float, step: int, feed: Feed, batch: PyTree, number: int) -> str:
    """The text of the warning of a loss on held-out data that is not finite."""
    advice = (
        _entry(feed, batch, feed.label(number))
        or "The data are finite: look at the model in test mode."
    )
    return f"`fit`: the loss on `validation` is {loss} at step {step}. {advice}"


def _name(snapshot: Snapshot, finite: np.ndarray, watched: tuple[int, ...]) -> str:
    """The first that is not finite: the loss, a gradient, or a new number."""
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(snapshot.tstate.parameters)]
    new = checked_names(snapshot.tstate)
    everything = [
        "the loss",
        *(f"the gradient of `{path_name(path)}`" for path in paths),
        *(new[index] for index in watched),
    ]
    return everything[int(np.argmin(finite))]


def _entry(feed: Feed, batch: PyTree, label: str) -> str:
    """The first entry of the batch that is not finite, or whose square is not; empty if none is."""
    floats = [
        (path, np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    ]
    for path, leaf in floats:
        bad = np.argwhere(~np.isfinite(leaf))
        if len(bad):
            name, value = _name_of_entry(feed, path, leaf, bad[0])
            return f"{label}{name} is {value}: correct the data or leave it out."
    for path, leaf in floats:
        large = np.argwhere(np.abs(leaf) > math.sqrt(jnp.finfo(leaf.dtype).max))
        if len(large):
            name, value = _name_of_entry(feed, path, leaf, large[0])
            return (
                f"{label}{name} is {value}, whose square {leaf.dtype} cannot hold: correct or "
                "scale the data."
            )
    return ""


def _name_of_entry(
    feed: Feed, path: jax.tree_util.KeyPath, leaf: np.ndarray, index: np.ndarray
) -> tuple[str, Any]:
    """The entry as one would write it, counted in the whole data, and its value."""
    value, where = leaf[tuple(index)], index.tolist()
    rows = feed.reader.rows(feed.plan, feed.place)
    if rows is not None:
        where[0] = int(rows[where[0]])
    subscript = f"[{', '.join(map(str, where))}]" if where else ""
    return f"`{feed.name}{jax.tree_util.keystr(path)}{subscript}`", value
