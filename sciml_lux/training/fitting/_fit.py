"""fit: many training steps, with progress, checkpoints and exact resumption."""

import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

from ...core.internal import check_choice, check_integer
from ...devices.internal import of_first_process
from ...io.internal import JSON
from ..callbacks._callback import Callback
from ..compilation._settings import settings_of
from ..data._data_dtype import check_data_dtype
from ..data._source import Data, Source
from ..data._source_of import source_of
from ..objectives._objective import Objective, check_objective
from ..records._fit_result import FitResult, history_of
from ..state._finite import watched_leaves
from ..state._train_state import TrainState
from ..steps._ad import AD, AutoReverse
from ..steps._chunk import MAX_CHUNK, ChunkFunction, advance, stats_of_step
from ._options import Options
from ._refusal import has_bad_entry, refusal
from ._session import Session, conduct
from ._validator import refuse_bare

_CHUNK_SECONDS = 0.25


def fit(
    tstate: TrainState | FitResult,
    objective: Objective,
    data: Data,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    ad: AD | None = None,
    validation: Data | None = None,
    validation_every: int = 100,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int | None = None,
    hyperparameters: Mapping[str, JSON] | None = None,
    resume: bool | Literal["changed"] = False,
    progress: bool = True,
    on_failed_step: Literal["refuse", "halve"] = "refuse",
) -> FitResult:
    """Take `steps` training steps from `tstate`.

    Many steps run in one call of a compiled loop. How they are divided into calls does not change
    the result by a bit, and neither does an interruption.

    Args:
        tstate: the state of training to start from, or the result of an earlier `fit` or
            `minimise`, whose losses precede the new ones.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one. The
            stats of all steps are kept in memory and in checkpoints: give numbers rather than
            large arrays.
        data: a tree of arrays, used whole at every step; a function `step -> tree` of JAX
            operations, where `step` is `tstate.step`, an int32 scalar that is traced; `Batches` of
            arrays; `Sampled` for fresh data at each step; or an iterable of batches, as described
            in `Stream`.
        steps: number of steps.
        epochs: number of passes over the data, in place of `steps`.
        ad: how to differentiate; `AutoReverse()` by default.
        validation: held-out data, in any of the forms of `data`. The objective is evaluated in
            test mode, as the mean over the samples of one pass, each of which counts once (over the
            batches of a `Stream` whose number of samples is not known). If it is not finite, there
            is a `NonFiniteWarning`, once, and the fit continues.
        validation_every: steps between two validations.
        callbacks: each is a `Callback`, such as `EarlyStopping`, `LogTo` or `CSVLog`.
        checkpoint: a file that ends in `.ckpt`, or a folder for `checkpoint.ckpt` and
            `losses.csv`; written every `checkpoint_every` steps (by default every 10 seconds), at
            the end, on Ctrl-C and, in one process without a handler of its own, on SIGTERM. Give
            each fit its own.
        checkpoint_every: steps between two checkpoints.
        hyperparameters: what you want to find in the checkpoint beside the state, as JSON can hold
            it; it is `load_checkpoint(path).metadata["hyperparameters"]`. None keeps those of the
            checkpoint resumed from.
        resume: continue from `checkpoint` if the file exists. The result then equals that of an
            uninterrupted run bit for bit. The checkpoint of a fit that began differently is
            refused: from other parameters or states, with another order of the data, or with
            another program of a step, which consists of model, objective, gradient and optimiser
            for data of one shape. The numbers in the data are not compared. "changed" continues all
            the same, for example with another learning rate, if the trees have the same structure.
            If the versions of JAX, of its libraries or of this one differ, or the platform does, a
            warning names the first difference.
        progress: print a progress line to standard error.
        on_failed_step: what to do where the loss, a gradient or what an update leads to is not
            finite though the data are. "refuse" raises a `NonFiniteError`. "halve" makes the update
            that led there again with half the change of the parameters, and half of that, down to a
            65536th part; the optimiser's own state is that of the whole step.

    Returns:
        The last state, the loss and the stats before each step, the losses on held-out data and,
        with `EarlyStopping`, the best state. float64 data for parameters of fewer digits give an
        `EltypeMismatchWarning`, an error in mode "error" of `precision.match_eltype`.

    Raises:
        NonFiniteError: the loss or a gradient is not finite, or a step makes a parameter, a model
            state or a number of the optimiser's state infinite or NaN that was finite when the fit
            began. It is named, and so is an entry of the data that is not finite or too large to be
            squared; if the objective raises an error outside of `jit`, as a solve that fails does,
            that is the cause. The update that led there is refused, or taken back; the last good
            state is in the checkpoint and in the error's `result`.
        CheckpointError: the checkpoint to resume from is damaged, or of a fit that began with
            another model, objective, optimiser, state or order of the data; names the first
            difference. Or the path is a file of another kind.
        ValueError: `steps`, `epochs` or an `every` is out of range; both or none of `steps` and
            `epochs` are given; `epochs` of data without a length; batches that differ; a function
            of the step that ignores it and returns other numbers at each call, as NumPy draws
            them.
        TypeError: one of these is not an integer; `data` is none of these forms; a bare iterator
            with `resume=True`; float64 NumPy data while x64 is off; a loss in fewer digits than the
            parameters have; `callbacks` holds something else; JSON cannot hold `hyperparameters`;
            stats that are not numbers.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.adam(0.1))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> batches = training.Batches((x, 2 * x), 4, key=1)
        >>> result = training.fit(ts, losses.MSELoss(), batches, epochs=100, progress=False)
        >>> bool(result.losses[-1] < 1e-2), int(result.tstate.step)
        (True, 200)
    """
    history = history_of("fit", tstate)
    check_objective(objective)
    check_choice("fit", "on_failed_step", on_failed_step, ("refuse", "halve"))
    source = source_of(data)
    options = Options(
        "fit",
        validation,
        validation_every,
        callbacks,
        checkpoint,
        checkpoint_every,
        hyperparameters,
        resume,
        progress,
    )
    total = _total(options, source, steps, epochs)
    if resume:
        refuse_bare("fit", "data", source)
    ad = ad or AutoReverse()
    begin = history.tstate
    made_with = functools.partial(
        settings_of, model=begin.model, objective=objective, optimizer=begin.optimizer, ad=ad
    )

    def take_steps(session: Session) -> None:
        _take_steps(session, ad, objective, source, on_failed_step == "halve")

    return conduct(
        options, history, objective, total, epochs, source.identity, take_steps, made_with
    )


def _take_steps(
    session: Session, ad: AD, objective: Objective, source: Source, halve: bool
) -> None:
    run = session.run
    feed = source.feed(run.step, run.done)
    watched = watched_leaves(session.start)
    take = ChunkFunction(ad, objective, feed.reader, watched)
    session.check_program(take, feed)
    chunk, checked, last = 1, False, None

    def may_halve(step: int) -> bool:
        return halve and not has_bad_entry(feed, step)

    while session.goes_on:
        begin = time.monotonic()
        count = feed.draw(min(session.until_stop(chunk), MAX_CHUNK))
        if not count:
            return run.stop(f"the data ended after {run.done} steps")
        session.check_program(take, feed)
        if not checked:
            check_data_dtype("`fit`", feed, run.tstate)
            checked = True
        steps = advance(take, run.tstate, feed, count, watched, last, may_halve)
        last = steps.last
        run.snapshot = run.snapshot.with_steps(steps.tstate, steps.losses, steps.stats)
        if not np.all(steps.finite):
            given = (run.snapshot, objective, feed, steps, watched, take, session.file)
            error, run.snapshot = refusal(*given)
            raise error
        session.between_steps()
        # Clocks differ, and processes with different numbers of steps would wait for each other.
        chunk = of_first_process(_next_chunk(count, time.monotonic() - begin))
    if run.snapshot.stats.arrays and run.snapshot.stats.treedef is None and feed.draw(1):
        # Resumed at its end: no step was taken, so the structure is not known yet.
        stats = stats_of_step(ad, objective, feed, run.tstate)
        run.snapshot = dataclasses.replace(run.snapshot, stats=run.snapshot.stats.shaped_as(stats))
    return None


def _next_chunk(count: int, elapsed: float) -> int:
    """The number of steps that fills the time between two progress updates, grown slowly."""
    wanted = int(count * _CHUNK_SECONDS / max(elapsed, 1e-6))
    return max(1, min(wanted, 8 * count, MAX_CHUNK))


def _total(options: Options, source: Source, steps: int | None, epochs: int | None) -> int:
    if (steps is None) == (epochs is None):
        raise ValueError(
            f"`fit` expects either `steps` or `epochs`, got steps={steps!r} and epochs={epochs!r}."
        )
    name, value = ("steps", steps) if epochs is None else ("epochs", epochs)
    check_integer(options.subject, name, value, least=0)
    if epochs is None:
        return int(steps or 0)
    total = source.steps(int(epochs))
    if total is None:
        raise ValueError(
            f"`fit` expects `steps` where the data has no length, got epochs={epochs} for "
            f"{source.identity}."
        )
    return total
