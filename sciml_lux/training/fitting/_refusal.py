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
from ..objectives._objective import Objective, evaluate
from ..records._fit_result import FitResult
from ..records._snapshot import Snapshot
from ..state._finite import checked_names
from ..state._train_state import TrainState
from ..steps._chunk import ChunkFunction, Steps


class NonFiniteError(FloatingPointError):
    """A loss, a gradient, or a parameter or state after a step, is not finite.

    Its message, and its cause in Python's sense, is what the objective raises when it is evaluated
    once more outside of `jit`: of a solve that failed, why.

    Attributes:
        result: of the fit up to the last state to go on from: the one before the update that led to
            what is not finite, unless the data are not.

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
    snapshot: Snapshot,
    objective: Objective,
    feed: Feed,
    steps: Steps,
    watched: tuple[int, ...],
    take: ChunkFunction,
    file: Path | None,
) -> tuple[NonFiniteError, Snapshot]:
    """The error of the step after `snapshot`, and the last snapshot that one can go on from.

    The error names the first thing that is not finite. If it is the loss or a gradient, and the
    data are finite, the update before is taken back, and the objective evaluated once more, where
    its errors are not compiled away: what it raises is the cause.
    """
    batch = feed.batch(snapshot.step)
    entry, cause, done = _entry(feed, batch, feed.label(snapshot.done)), None, "refused"
    name, step = _name(snapshot, steps.finite, watched), snapshot.step
    if not entry and not np.all(steps.finite[: len(steps.finite) - len(watched)]):
        cause = _error_of(objective, snapshot.tstate, batch)
        if steps.last is not None and snapshot.done:
            snapshot = snapshot.without_last(steps.last.before(take).tstate)
            done = f"taken back: the state is again that of step {snapshot.step}"
    saved = f"; the last good state is in {file}" if file is not None and snapshot.done else ""
    advice = entry or "Lower the learning rate, clip gradients, or look at the data."
    why = f" {cause}" if cause is not None else ""
    error = NonFiniteError(
        f"{name} is not finite at step {step}, so the update was {done}{saved}.{why} {advice}",
        snapshot.result(),
    )
    error.__cause__ = cause
    return error, snapshot


def has_bad_entry(feed: Feed, step: int) -> bool:
    """Whether the batch of `step` has an entry that no smaller update makes finite."""
    return bool(_entry(feed, feed.batch(step), ""))


def _error_of(objective: Objective, tstate: TrainState, batch: PyTree) -> Exception | None:
    """What `objective` raises outside of `jit`, where a solve that fails says why."""
    try:
        evaluate(objective, tstate.model, tstate.parameters, tstate.states, batch)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return error
    return None


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
