"""What surrounds the steps of `fit` and `minimise`: validation, callbacks, files, progress."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...core import check_integer
from ...devices.internal import is_first_process
from ...io import CheckpointError
from ..callbacks._callback import Callback
from ..callbacks._csv_log import CSVLog
from ..callbacks._early_stopping import EarlyStopping
from ..data._source import Feed, Source
from ..data._source_of import source_of
from ..data._stream import Stream
from ..objectives._objective import Objective
from ..records._fit_result import FitResult
from ..records._fit_run import FitRun
from ..records._progress import ProgressLine
from ..records._validation import Validation
from ..state._train_state import TrainState
from ..steps._chunk import ChunkFunction
from ._refusal import NonFiniteWarning
from ._saver import Saver
from ._terminated import exit_on_termination
from ._validate import validation_loss


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that `fit` and `minimise` share, as they were given to `subject`."""

    subject: str
    validation: Any
    validation_every: Any
    callbacks: Any
    checkpoint: Any
    checkpoint_every: Any
    hyperparameters: Mapping[str, Any] | None
    resume: bool | Literal["changed"]
    progress: bool


class Session:
    """A fit under way, for the method that takes its steps.

    Attributes:
        start: the state that the fit was called with.
        run: what callbacks get; the method replaces `run.snapshot` after steps.
        file: of the checkpoint, or None.
    """

    def __init__(
        self,
        start: TrainState,
        run: FitRun,
        validator: "_Validator",
        callbacks: Sequence[Callback],
        saver: Saver,
        line: ProgressLine,
    ) -> None:
        self.start, self.run, self.file = start, run, saver.file
        self._validator, self._callbacks, self._saver, self._line = (
            validator,
            callbacks,
            saver,
            line,
        )
        self._stops = [saver.every, validator.every, *(callback.every for callback in callbacks)]

    @property
    def goes_on(self) -> bool:
        """Whether steps are left, and no callback has ended the fit."""
        return self.run.done < self.run.steps and not self.run.stopped

    def until_stop(self, wanted: int) -> int:
        """`wanted` steps, or fewer if something is due earlier."""
        done = self.run.done
        left = [every - done % every for every in self._stops if every is not None]
        return min([wanted, self.run.steps - done, *left])

    def check_program(self, take: ChunkFunction, feed: Feed) -> None:
        """Refuse a checkpoint that is resumed if it is of another program than that of `take`."""
        self._saver.check(take, self.run.tstate, feed)

    def validate_if_due(self) -> None:
        """Validate, unless it was done at this step."""
        self._validator.run_if_due(self.run, self._callbacks)

    def between_steps(self, timed_callbacks: bool = True) -> None:
        """Do all that is due after the last step.

        Args:
            timed_callbacks: whether to call the callbacks whose `every` is None.
        """
        run = self.run
        self.validate_if_due()
        self._line.update(run.snapshot)
        for callback in self._callbacks:
            if timed_callbacks if callback.every is None else _due(run.done, callback.every):
                callback.on_steps(run)
        self._saver.save_if_due(run.snapshot)


def conduct(
    options: Options,
    history: FitResult,
    objective: Objective,
    total: int,
    epochs: int | None,
    data: str,
    take_steps: Callable[[Session], None],
    made_with: Callable[[], dict[str, str]],
) -> FitResult:
    """Run `take_steps` in a session, and put `history` before its losses.

    Args:
        options: those given.
        history: what the fit starts from.
        objective: of the steps and of the validation.
        total: number of steps.
        epochs: the number of passes in `total` steps, if the user gave it.
        data: the identity of the data, which a resumed fit must share.
        take_steps: takes the steps of a session.
        made_with: returns the settings of model, objective and method.
    """
    check_integer(options.subject, "validation_every", options.validation_every, least=1)
    _check_resume(options)
    if options.checkpoint_every is not None:
        check_integer(options.subject, "checkpoint_every", options.checkpoint_every, least=1)
    callbacks = _checked_callbacks(options.subject, options.callbacks)
    validator = _Validator(options, objective)
    start = history.tstate
    saver = Saver(
        options.checkpoint,
        options.checkpoint_every,
        start,
        data,
        options.hyperparameters,
        made_with,
    )
    accept = options.resume == "changed"
    begin = saver.load(accept_changes=accept) if options.resume else saver.saved
    if begin.done > total:
        raise CheckpointError(
            f"checkpoint {saver.file} holds {begin.done} steps, more than steps={total}. Ask for "
            "that many or more, or give another path."
        )
    run = FitRun(begin, total, validator.every is not None)
    callbacks = [*_own_log(options.checkpoint, saver.file, callbacks), *callbacks]
    line = ProgressLine(total, run.done, epochs, options.progress and is_first_process())
    session = Session(start, run, validator, callbacks, saver, line)
    with ExitStack() as stack:
        if saver.file is not None:
            stack.enter_context(exit_on_termination())
        stack.callback(line.close)
        for callback in callbacks:
            callback.on_start(run)
            stack.callback(callback.on_end, run)
        # Left first, so that the checkpoint is written whatever the callbacks do at the end.
        stack.callback(lambda: saver.save(run.snapshot))
        # An interrupt may have come between the steps and the validation after them.
        session.validate_if_due()
        take_steps(session)
        saver.finish(run.snapshot)
    return _joined(history, run, keeps_best=bool(_keepers(callbacks)))


def _joined(history: FitResult, run: FitRun, keeps_best: bool) -> FitResult:
    found = run.snapshot.result()
    return dataclasses.replace(
        found,
        losses=np.concatenate([history.losses, found.losses]),
        message=run.message,
        validation=history.validation.then(found.validation),
        best=found.best if keeps_best else history.best,
        stats=run.snapshot.stats.after(history.stats),
    )


class _Validator:
    """Evaluates the objective on held-out data when it is due."""

    def __init__(self, options: Options, objective: Objective) -> None:
        self._objective, self._subject = objective, options.subject
        self._source: Source | None = None
        if options.validation is not None:
            self._source = source_of(options.validation, "validation")
            refuse_bare(options.subject, "validation", self._source)
        self.every = options.validation_every if self._source else None
        self._has_warned = self._begun = False

    def run_if_due(self, run: FitRun, callbacks: Sequence[Callback]) -> None:
        snapshot = run.snapshot
        known = snapshot.validation.steps
        if self._source is None or not _due(run.done, self.every) or run.step in known[-1:]:
            return
        loss, complaint = validation_loss(
            f"`{self._subject}`",
            self._objective,
            self._source,
            snapshot.tstate,
            first=not self._begun,
        )
        self._begun = True
        if complaint and not self._has_warned:
            self._has_warned = True
            warnings.warn(complaint, NonFiniteWarning, stacklevel=2)
        new = Validation(np.asarray([run.step], np.int64), np.asarray([loss], np.float64))
        run.snapshot = dataclasses.replace(snapshot, validation=snapshot.validation.then(new))
        for callback in callbacks:
            callback.on_validation(run)


def _due(done: int, every: int | None) -> bool:
    return every is not None and done > 0 and done % every == 0


def _check_resume(options: Options) -> None:
    if not isinstance(options.resume, bool) and options.resume != "changed":
        raise ValueError(
            f'`{options.subject}` expects `resume` to be True, False or "changed", got '
            f'{options.resume!r}. "changed" accepts another optimiser, model, objective or data.'
        )


def refuse_bare(subject: str, name: str, source: Source) -> None:
    """Raise if `source` is a bare iterator, where a second pass is needed.

    Raises:
        TypeError: it is.
    """
    if isinstance(source, Stream) and source.bare:
        what = "resume from a checkpoint" if name == "data" else "validate more than once"
        raise TypeError(
            f"`{subject}` cannot {what} with `{name}` that is a bare iterator, a "
            f"{type(source.batches).__name__}: it can be iterated only once. Pass an "
            "object that can be iterated again."
        )


def _checked_callbacks(subject: str, callbacks: Iterable[Callback]) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"`{subject}` expects `callbacks` to be a list of callbacks, got {callbacks!r}. Write "
            "callbacks=[callback]."
        )
    callbacks = list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"`{subject}` expects `callbacks` to hold instances of Callback, got "
                f"{callback!r}. Subclass training.Callback."
            )
        every = callback.every
        if every is not None:
            check_integer(type(callback).__name__, "every", every, least=1)
    if (count := len(_keepers(callbacks))) > 1:
        raise ValueError(
            f"`{subject}` expects one EarlyStopping that keeps the best state, got {count}. Set "
            "keep_best=False in the others."
        )
    return callbacks


def _keepers(callbacks: Sequence[Callback]) -> list[Callback]:
    return [c for c in callbacks if isinstance(c, EarlyStopping) and c.keep_best]


def _own_log(
    checkpoint: str | os.PathLike | None, file: Path | None, callbacks: Sequence[Callback]
) -> list[Callback]:
    """The log in a checkpoint folder, unless the user has one there."""
    if file is None or checkpoint is None or file == Path(checkpoint).expanduser():
        return []
    log = CSVLog(file.parent / "losses.csv")
    paths = [callback.path for callback in callbacks if isinstance(callback, CSVLog)]
    return [] if log.path in paths else [log]
