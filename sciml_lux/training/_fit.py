"""fit: many training steps, with progress, checkpoints and exact resume."""

import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core import check_integer
from ._ad import AD, AutoReverse
from ._callback import Callback
from ._checkpoint_format import CheckpointError
from ._chunk import MAX_CHUNK, advance, chunk_function
from ._csv_log import CSVLog
from ._early_stopping import EarlyStopping
from ._objective import note_compilation, objective_key
from ._processes import is_first_process, of_first_process
from ._progress import ProgressLine
from ._refusal import refusal
from ._run import FitResult, FitRun, Run, Validation, history_of
from ._saver import Saver
from ._settings import settings_of
from ._sources import Source, source_of
from ._steps import Objective
from ._stream import Stream
from ._train_state import TrainState
from ._validate import validation_loss

_CHUNK_SECONDS = 0.25


def fit(
    tstate: TrainState | FitResult,
    objective: Objective,
    data: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    ad: AD | None = None,
    validation: Any = None,
    validation_every: int = 100,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    resume: bool | Literal["changed"] = False,
    progress: bool = True,
) -> FitResult:
    """Take `steps` training steps from `tstate`.

    Steps run in a compiled loop, so many of them for each call from Python; how they are cut into
    loops does not change a bit of the result, nor does an interruption.

    Args:
        tstate: the state of training to start from, or the result of an earlier `fit` or
            `minimise`, whose losses go before the new ones.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: a tree of arrays, used whole at every step; a function `step -> tree` of JAX
            operations, where `step` is the int32 scalar `tstate.step`, traced; `Batches` of
            arrays; `Sampled` for fresh data at each step; or an iterable that gives batches, as
            described in `Stream`.
        steps: number of steps.
        epochs: number of passes over the data, in place of `steps`.
        ad: how to differentiate; `AutoReverse()` by default.
        validation: held-out data, in any of the forms of `data`. The objective is evaluated in
            test mode, as the mean over one pass.
        validation_every: steps between two validations.
        callbacks: each is a `Callback`, such as `EarlyStopping`, `LogTo` or `CSVLog`.
        checkpoint: a file that ends in `.ckpt`, or a folder for `checkpoint.ckpt` and
            `losses.csv`; written every `checkpoint_every` steps (by default every 10 seconds), at
            the end, and on Ctrl-C. Give each fit its own.
        checkpoint_every: steps between two checkpoints.
        hyperparameters: what else you want to find in the checkpoint, as JSON can hold it; it is
            `load_checkpoint(path).metadata["hyperparameters"]`. None keeps those resumed from.
        resume: go on from `checkpoint` if the file is there. The result then equals that of an
            uninterrupted run bit for bit. A fit that began otherwise is refused: with other
            parameters or states, another order of the data, or where the program of a step is
            another, which is that of the model, the objective and its gradient, the optimiser and
            the shape of the data. The numbers in the data are not compared. "changed" goes on
            all the same, for example with another learning rate, if the trees have the same
            structure. Where the versions of JAX, of its libraries or of this one are others, or
            the platform, a warning tells of the first difference.
        progress: print a progress line to standard error.

    Returns:
        The last state, the loss before each step, the losses on held-out data and, with
        `EarlyStopping`, the best state.

    Raises:
        NonFiniteError: the loss, a gradient or an update is not finite; it is named, and the entry
            of the data that is not finite, if there is one. The update is refused; the last good
            state is in the checkpoint and in the error's `result`.
        CheckpointError: the checkpoint to resume from is damaged, or of a fit that began with
            another model, objective, optimiser, state or order of the data, and the first
            difference is told; or the path is a file of another kind.
        ValueError: `steps`, `epochs` or an `every` is out of range, or not just one of the first
            two is given; `epochs` of data without a length; batches that differ.
        TypeError: one of these is not an integer; `data` is none of these forms; a bare iterator
            with `resume=True`; float64 NumPy data, x64 off; a loss in fewer digits than the
            parameters have; `callbacks` holds something else; JSON cannot hold `hyperparameters`.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.adam(0.1))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> batches = training.Batches((x, 2 * x), 4, key=1)
        >>> result = training.fit(ts, losses.MSELoss(), batches, epochs=100, progress=False)
        >>> bool(result.losses[-1] < 1e-2), int(result.train_state.step)
        (True, 200)
    """
    history = history_of("fit", tstate)
    source = source_of(data)
    held_out = None if validation is None else source_of(validation)
    _check_options(steps, epochs, validation_every, checkpoint_every)
    _check_resume(resume)
    callbacks = _checked_callbacks(callbacks)
    _check_bare(source, held_out, bool(resume))
    total = _total(source, steps, epochs)
    begin = history.train_state
    ad = ad or AutoReverse()
    made_with = functools.partial(
        settings_of, model=begin.model, objective=objective, optimizer=begin.optimizer, ad=ad
    )
    saver = Saver(checkpoint, checkpoint_every, begin, source.identity, hyperparameters, made_with)
    start = saver.load(accept_changes=resume == "changed") if resume else saver.saved
    if start.done > total:
        raise CheckpointError(
            f"checkpoint {saver.file} holds {start.done} steps, more than steps={total}. Ask for "
            "that many or more, or give another path."
        )
    run = FitRun(start, total, held_out is not None)
    callbacks = [*_own_log(checkpoint, saver.file, callbacks), *callbacks]
    key = objective_key(objective)
    note_compilation(key)
    check = _Validator(key, held_out, validation_every)
    line = ProgressLine(total, run.done, epochs, progress and is_first_process())
    with ExitStack() as stack:
        stack.callback(line.close)
        for callback in callbacks:
            callback.on_start(run)
            stack.callback(callback.on_end, run)
        # Left first, so that the checkpoint is written whatever the callbacks do at the end.
        stack.callback(lambda: saver.save(run.now))
        _take_steps(run, ad, key, source, check, callbacks, saver, line)
        saver.finish(run.now)
    now = run.now
    kept = now.best if _keepers(callbacks) else history.best
    return FitResult(
        now.tstate,
        np.concatenate([history.losses, now.losses]),
        message=run.message,
        validation=history.validation.then(now.validation),
        best=kept,
    )


class _Validator:
    """Evaluates the objective on held-out data when it is due."""

    def __init__(self, key: Any, source: Source | None, every: int) -> None:
        self._key, self._source, self.every = key, source, every if source else None

    def run_if_due(self, run: FitRun, callbacks: Sequence[Callback]) -> None:
        now = run.now
        known = now.validation.steps
        if self._source is None or not _due(run.done, self.every) or run.step in known[-1:]:
            return
        loss = validation_loss(self._key, self._source, now.tstate)
        new = Validation(np.asarray([run.step], np.int64), np.asarray([loss], np.float64))
        run.now = dataclasses.replace(now, validation=now.validation.then(new))
        for callback in callbacks:
            callback.on_validation(run)


def _take_steps(
    run: FitRun,
    ad: AD,
    key: Any,
    source: Source,
    check: _Validator,
    callbacks: Sequence[Callback],
    saver: Saver,
    line: ProgressLine,
) -> None:
    feed = source.feed(run.step, run.done)
    take = chunk_function(ad, key, feed.reader)
    saver.check(take, run.tstate, feed)
    # An interrupt may have come between the steps and the validation behind them.
    check.run_if_due(run, callbacks)
    stops = [saver.every, check.every, *(callback.every for callback in callbacks)]
    chunk = 1
    while run.done < run.steps and not run.stopped:
        begin = time.monotonic()
        left = [every - run.done % every for every in stops if every is not None]
        count = feed.draw(min([chunk, run.steps - run.done, MAX_CHUNK, *left]))
        if not count:
            return run.stop(f"the data ended after {run.done} steps")
        saver.check(take, run.tstate, feed)
        carry, finite = advance(take, run.tstate, feed, count)
        run.now = _moved(run.now, carry)
        if not np.all(finite):
            raise refusal(run.now, feed, finite, saver.file)
        line.update(run.done, run.losses[-1])
        check.run_if_due(run, callbacks)
        for callback in callbacks:
            if callback.every is None or _due(run.done, callback.every):
                callback.on_steps(run)
        saver.save_if_due(run.now)
        # Clocks differ, and processes that step apart would wait for each other.
        chunk = of_first_process(_next_chunk(count, time.monotonic() - begin))
    return None


def _moved(run: Run, carry: Any) -> Run:
    taken = int(carry.taken)
    if not taken:
        return run
    new = np.asarray(carry.losses[:taken], np.float64)
    return dataclasses.replace(run, tstate=carry.tstate, losses=np.concatenate([run.losses, new]))


def _due(done: int, every: int | None) -> bool:
    return every is not None and done > 0 and done % every == 0


def _next_chunk(count: int, elapsed: float) -> int:
    """As many steps as fill the time between two progress updates, reached by and by."""
    wanted = int(count * _CHUNK_SECONDS / max(elapsed, 1e-6))
    return max(1, min(wanted, 8 * count, MAX_CHUNK))


def _check_options(steps: Any, epochs: Any, validation_every: Any, checkpoint_every: Any) -> None:
    if (steps is None) == (epochs is None):
        raise ValueError(
            f"`fit` expects either `steps` or `epochs`, got steps={steps!r} and epochs={epochs!r}."
        )
    options = (
        ("steps", steps, 0),
        ("epochs", epochs, 0),
        ("validation_every", validation_every, 1),
        ("checkpoint_every", checkpoint_every, 1),
    )
    for name, value, low in options:
        if value is None and name != "validation_every":
            continue
        check_integer("fit", name, value, least=low)


def _check_resume(resume: Any) -> None:
    if not isinstance(resume, bool) and resume != "changed":
        raise ValueError(
            f'`fit` expects `resume` to be True, False or "changed", got {resume!r}. '
            '"changed" accepts another optimiser, model, objective or data.'
        )


def _checked_callbacks(callbacks: Any) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"`fit` expects `callbacks` to be a list of callbacks, got {callbacks!r}. Write "
            "callbacks=[callback]."
        )
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"`fit` expects `callbacks` to hold instances of Callback, got {callback!r}. "
                "Subclass training.Callback."
            )
        every = callback.every
        if every is not None:
            check_integer(type(callback).__name__, "every", every, least=1)
    if (count := len(_keepers(callbacks))) > 1:
        raise ValueError(
            f"`fit` expects one EarlyStopping that keeps the best state, got {count}. Set "
            "keep_best=False in the others."
        )
    return callbacks


def _keepers(callbacks: list[Callback]) -> list[Callback]:
    return [c for c in callbacks if isinstance(c, EarlyStopping) and c.keep_best]


def _check_bare(source: Source, held_out: Source | None, resume: bool) -> None:
    for name, given, forbidden in (("data", source, resume), ("validation", held_out, True)):
        if forbidden and isinstance(given, Stream) and given.bare:
            what = "resume from a checkpoint" if name == "data" else "validate more than once"
            raise TypeError(
                f"`fit` cannot {what} with `{name}` that is a bare iterator, a "
                f"{type(given.batches).__name__}: it can be gone through only once. Pass an "
                "object that can be iterated again."
            )


def _total(source: Source, steps: int | None, epochs: int | None) -> int:
    if epochs is None:
        return int(steps or 0)
    total = source.steps(int(epochs))
    if total is None:
        raise ValueError(
            f"`fit` expects `steps` where the data has no length, got epochs={epochs} for "
            f"{source.identity}."
        )
    return total


def _own_log(checkpoint: Any, file: Path | None, callbacks: Sequence[Callback]) -> list[Callback]:
    """The log that goes with a checkpoint folder, unless the user keeps it."""
    if file is None or file == Path(checkpoint).expanduser():
        return []
    log = CSVLog(file.parent / "losses.csv")
    kept = [callback.path for callback in callbacks if isinstance(callback, CSVLog)]
    return [] if log.path in kept else [log]
