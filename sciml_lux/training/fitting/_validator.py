"""Validator: the validation of a fit, when it is due."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from ..callbacks._callback import Callback
from ..compilation._user_stacklevel import user_stacklevel
from ..data._source import Source
from ..data._source_of import source_of
from ..data._stream import Stream
from ..objectives._objective import Objective
from ..records._fit_run import FitRun
from ..records._validation import Validation
from ._options import Options
from ._refusal import NonFiniteWarning
from ._validate import validation_loss


class Validator:
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
        """Validate, unless it was done at this step, and tell the callbacks."""
        snapshot = run.snapshot
        known = snapshot.validation.steps
        if self._source is None or not is_due(run.done, self.every) or run.step in known[-1:]:
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
            warnings.warn(complaint, NonFiniteWarning, stacklevel=user_stacklevel())
        new = Validation(np.asarray([run.step], np.int64), np.asarray([loss], np.float64))
        run.snapshot = dataclasses.replace(snapshot, validation=snapshot.validation.then(new))
        for callback in callbacks:
            callback.on_validation(run)


def is_due(done: int, every: int | None) -> bool:
    """Whether `done` steps are a multiple of `every`, if there is one."""
    return every is not None and done > 0 and done % every == 0


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
