"""Options: those that `fit` and `minimise` share, and their checks."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ...core.internal import check_integer
from ...io.internal import JSON
from ..callbacks._callback import Callback
from ..callbacks._early_stopping import EarlyStopping
from ..data._source import Data


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that `fit` and `minimise` share, as they were given to `subject`."""

    subject: str
    validation: Data | None
    validation_every: int
    callbacks: Iterable[Callback]
    checkpoint: str | os.PathLike | None
    checkpoint_every: int | None
    hyperparameters: Mapping[str, JSON] | None
    resume: bool | Literal["changed"]
    progress: bool


def checked_callbacks(options: Options) -> list[Callback]:
    """The callbacks, after a check of all options that no later step checks.

    Raises:
        ValueError: an `every` is below 1; `resume` is another word; several callbacks keep a best
            state.
        TypeError: an `every` is not an integer; `callbacks` holds something else.
    """
    check_integer(options.subject, "validation_every", options.validation_every, least=1)
    _check_resume(options)
    if options.checkpoint_every is not None:
        check_integer(options.subject, "checkpoint_every", options.checkpoint_every, least=1)
    return _checked(options.subject, options.callbacks)


def keepers(callbacks: Sequence[Callback]) -> list[Callback]:
    """The callbacks that keep a best state."""
    return [c for c in callbacks if isinstance(c, EarlyStopping) and c.keep_best]


def _check_resume(options: Options) -> None:
    if not isinstance(options.resume, bool) and options.resume != "changed":
        raise ValueError(
            f'`{options.subject}` expects `resume` to be True, False or "changed", got '
            f'{options.resume!r}. "changed" accepts another optimiser, model, objective or data.'
        )


def _checked(subject: str, callbacks: Iterable[Callback]) -> list[Callback]:
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
    if (count := len(keepers(callbacks))) > 1:
        raise ValueError(
            f"`{subject}` expects one EarlyStopping that keeps the best state, got {count}. Set "
            "keep_best=False in the others."
        )
    return callbacks
