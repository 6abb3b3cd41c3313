"""What surrounds the steps of `fit` and `minimise`: validation, callbacks, files, progress."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ...devices.internal import is_first_process
from ...io import CheckpointError
from ..callbacks._callback import Callback
from ..callbacks._csv_log import CSVLog
from ..data._source import Feed
from ..objectives._objective import Objective
from ..records._fit_result import FitResult
from ..records._fit_run import FitRun
from ..records._progress import ProgressLine
from ..state._train_state import TrainState
from ..steps._chunk import ChunkFunction
from ._options import Options, checked_callbacks, keepers
from ._saver import Saver
from ._terminated import exit_on_termination
from ._validator import Validator, is_due


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
        validator: Validator,
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
        """Refuse the checkpoint resumed from if its program of a step is not that of `take`."""
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
            if timed_callbacks if callback.every is None else is_due(run.done, callback.every):
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
    callbacks = checked_callbacks(options)
    validator = Validator(options, objective)
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
    return _joined(history, run, keeps_best=bool(keepers(callbacks)))


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


def _own_log(
    checkpoint: str | os.PathLike | None, file: Path | None, callbacks: Sequence[Callback]
) -> list[Callback]:
    """The log in a checkpoint folder, unless the user has one there."""
    if file is None or checkpoint is None or file == Path(checkpoint).expanduser():
        return []
    log = CSVLog(file.parent / "losses.csv")
    paths = [callback.path for callback in callbacks if isinstance(callback, CSVLog)]
    return [] if log.path in paths else [log]
