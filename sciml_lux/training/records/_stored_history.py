"""The history of a fit in the metadata of its checkpoint, checked when it is read."""

import itertools
from typing import Any

import numpy as np

from ...io import Checkpoint, CheckpointError
from ...io.internal import quoted
from ._validation import Validation


def stored_history(
    checkpoint: Checkpoint, first_step: int, step: int
) -> tuple[np.ndarray, Validation]:
    """The losses of a fit and its validation, as float64.

    Args:
        checkpoint: of a fit.
        first_step: `tstate.step` when the fit began.
        step: `tstate.step` of the stored state.

    Raises:
        CheckpointError: something is missing, of another type, or does not fit the steps.
    """
    losses = _numbers(checkpoint, "losses", float)
    if len(losses) != step - first_step:
        raise _misfit(checkpoint, f"{len(losses)} losses for {step - first_step} steps")
    steps = _numbers(checkpoint, "validation steps", int)
    values = _numbers(checkpoint, "validation losses", float)
    if len(steps) != len(values):
        raise _misfit(checkpoint, f"{len(values)} validation losses for {len(steps)} steps")
    ordered = [first_step, *steps, step + 1]
    if any(later <= earlier for earlier, later in itertools.pairwise(ordered)):
        text = quoted(str(steps))
        reason = f"validation steps {text}, not in order between {first_step + 1} and {step}"
        raise _misfit(checkpoint, reason)
    validation = Validation(np.asarray(steps, np.int64), np.asarray(values, np.float64))
    return np.asarray(losses, np.float64), validation


def stored_dict(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """A dict of the metadata.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    return _of_type(checkpoint, name, dict)


def stored_integer(checkpoint: Checkpoint, name: str) -> int:
    """An integer of the metadata.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    return _of_type(checkpoint, name, int)


def _numbers(checkpoint: Checkpoint, name: str, kind: type) -> list[Any]:
    values = _of_type(checkpoint, name, list)
    for value in values:
        if type(value) is not kind:  # A bool would pass for an int.
            text = quoted(repr(value))
            raise _misfit(checkpoint, f"{text} among its {name}, not {kind.__name__}")
    return values


def _of_type(checkpoint: Checkpoint, name: str, kind: type) -> Any:
    if name not in checkpoint.metadata:
        raise _misfit(checkpoint, f"no {name}")
    value = checkpoint.metadata[name]
    if type(value) is not kind:
        text = quoted(repr(value))
        raise _misfit(checkpoint, f"{text} for its {name}, not a {kind.__name__}")
    return value


def _misfit(checkpoint: Checkpoint, reason: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {checkpoint.path} cannot be resumed from: it has {reason}. Use an earlier one."
    )
