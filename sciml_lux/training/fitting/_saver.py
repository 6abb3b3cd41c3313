"""Saver: when and where `fit` writes checkpoints, and which it may resume from."""

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ...core.internal import describe
from ...devices.internal import (
    counts_of_processes,
    is_first_process,
    placed_as,
    wait_for_processes,
)
from ...io import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from ...io.internal import JSON, checkpoint_file, quoted, require_checkpoint_file
from ..compilation._settings import first_changed
from ..compilation._step_program import StepProgram, difference, step_program, versions
from ..compilation._user_stacklevel import user_stacklevel
from ..data._source import Feed
from ..objectives._stats import Stats
from ..records._snapshot import Snapshot
from ..records._stored_history import stored_dict, stored_history, stored_integer
from ..state._train_state import TrainState
from ..steps._chunk import ChunkFunction

_SECONDS = 10.0


class Saver:
    """Writes checkpoints of one fit; without a path it does nothing.

    Args:
        path: file or folder, or None.
        every: steps between two checkpoints; None for every ten seconds.
        start: the state that the fit was called with.
        data: the identity of the data, as text.
        hyperparameters: the user's, for the metadata.
        settings: returns the settings of model, objective and optimiser.

    Raises:
        TypeError: JSON cannot hold the hyperparameters.
        CheckpointError: the file exists and is not a checkpoint.
        OSError: the folder cannot be made or written to; raised now rather than after the training.

    Attributes:
        file: to write to, or None.
        every: as given.
        saved: the snapshot that was written or loaded last; at first the start.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        every: int | None,
        start: TrainState,
        data: str,
        hyperparameters: Mapping[str, JSON] | None,
        settings: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.file = None if path is None else checkpoint_file(path)
        self.every = every
        self._start, self._data = start, data
        self._hyperparameters = None if hyperparameters is None else _checked(hyperparameters)
        self.saved, self._is_written = Snapshot(start), False
        self._saved_at = time.monotonic()
        # The program of a step: as stored in the file that is resumed from, and as it is now.
        self._stored: StepProgram | None = None
        self._program: StepProgram | None = None
        self._versions: dict[str, str] = {}
        self._must_agree, self._doubt = False, ""
        if self.file is None:
            return
        self._settings = settings()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(self.file.parent, os.W_OK):
            raise PermissionError(f"`fit` cannot write to the folder of {self.file}.")
        require_checkpoint_file(self.file)

    def load(self, accept_changes: bool = False) -> Snapshot:
        """The snapshot to continue from: that of the file, or the start if there is no file.

        Args:
            accept_changes: take the file of a fit that began differently, if its trees fit.

        Raises:
            CheckpointError: the file is damaged, or of a fit that began differently; processes see
                different files.
        """
        self._must_agree = not accept_changes
        # The first process may still be writing the end of the fit before this one.
        wait_for_processes("resume")
        self.saved = self._read()
        counts = counts_of_processes(self.saved.done)
        if len(set(counts)) > 1:
            raise CheckpointError(
                f"the processes would resume {self.file} from different steps, {counts}. It must "
                "be on a file system that all of them see."
            )
        return self.saved

    def _read(self) -> Snapshot:
        if self.file is None or not self.file.exists():
            return self.saved
        checkpoint = load_checkpoint(self.file)
        tstate = checkpoint.restore(self._start, "tstate")
        self._stored = _stored_program(checkpoint)
        self._versions = stored_dict(checkpoint, "versions")
        for name, value in self._identity().items():
            if checkpoint.metadata.get(name) != value:
                stored = quoted(str(checkpoint.metadata.get(name)), 200)
                self._disagree(f"{name} was {stored}, is now {value}")
                break
        if self._stored is None:  # No step was traced before it was written.
            changed = first_changed(stored_dict(checkpoint, "settings"), self._settings)
            if changed:
                self._disagree(changed)
        first, step = stored_integer(checkpoint, "history from step"), int(tstate.step)
        losses, validation = stored_history(checkpoint, first, step)
        hyperparameters = stored_dict(checkpoint, "hyperparameters")
        if self._hyperparameters is None:
            self._hyperparameters = hyperparameters
        self._is_written = self._hyperparameters == hyperparameters
        best = self._best(checkpoint, first, step)
        stats, method = Stats.loaded(checkpoint.leaves), _method(checkpoint.leaves)
        if any(array.shape[:1] > losses.shape for array in stats.arrays):
            raise CheckpointError(f"checkpoint {self.file} holds more stats than losses.")
        return Snapshot(placed_as(tstate, self._start), losses, validation, best, stats, method)

    def _best(self, checkpoint: Checkpoint, first: int, step: int) -> TrainState | None:
        if not any(path.startswith("best.") for path in checkpoint.leaves):
            return None
        best = checkpoint.restore(self._start, "best")
        if not first <= int(best.step) <= step:
            raise CheckpointError(
                f"checkpoint {self.file} cannot be resumed from: its best state is of step "
                f"{int(best.step)}, not between {first} and {step}. Use an earlier one."
            )
        return placed_as(best, self._start)

    def check(self, take: ChunkFunction, tstate: TrainState, feed: Feed) -> None:
        """Compare the program of a step with that of the file, once, when it can be traced.

        Raises:
            CheckpointError: it is another program, though all versions are the same.
        """
        if self.file is None or self._program is not None or not feed.is_drawn:
            return
        data = ", ".join(map(describe, jax.tree.leaves(feed.arrays)))
        settings = self._settings | {"data": data}
        self._program = step_program(take.program(tstate, feed), settings)
        if self._stored is not None and self._stored.digest != self._program.digest:
            self._disagree(difference(self._stored, self._program))
        if self._doubt:
            warnings.warn(self._doubt, stacklevel=user_stacklevel())

    def _disagree(self, what: str) -> None:
        """Refuse the file, or keep the difference for a warning where the versions differ."""
        if not self._must_agree or self._doubt:
            return
        changed = first_changed(self._versions, versions())
        if changed:
            self._doubt = (
                f"checkpoint {self.file} is of other versions, {changed}, so it is not known "
                f"whether it is of another fit: {what}. The result may differ from that of an "
                "uninterrupted run."
            )
            return
        if self._stored is not None:
            what = first_changed(self._stored.settings, self._settings) or what
        file, self.file = self.file, None  # So that nothing more is written there.
        raise CheckpointError(
            f"checkpoint {file} is of another fit: {what}. Resume with the model, objective, "
            "optimiser, state and data that the fit began with, or accept the change: "
            'resume="changed"; give each fit of several its own path.'
        )

    def save_if_due(self, snapshot: Snapshot) -> None:
        """Write if `every` steps, or ten seconds, have passed."""
        if self.every is not None:
            due = snapshot.done % self.every == 0
        else:
            due = time.monotonic() - self._saved_at > _SECONDS
        if due:
            self.save(snapshot)

    def finish(self, snapshot: Snapshot) -> None:
        """Write at the regular end of a fit, even of no steps, unless the file has it already."""
        if snapshot is not self.saved or not self._is_written:
            self._write(snapshot)

    def save(self, snapshot: Snapshot) -> None:
        """Write, unless nothing has changed since the last time."""
        if snapshot is not self.saved:
            self._write(snapshot)

    def _write(self, snapshot: Snapshot) -> None:
        if self.file is None or not is_first_process():
            return
        # JSON keeps every digit of a float64, and a history has another length each time.
        metadata = self._identity() | {
            "hyperparameters": self._hyperparameters or {},
            # Not the step of `start`, if a fit with "changed" continued another.
            "history from step": snapshot.step - snapshot.done,
            "losses": snapshot.losses.tolist(),
            "validation steps": snapshot.validation.steps.tolist(),
            "validation losses": snapshot.validation.losses.tolist(),
        }
        more = {"best": snapshot.best, "stats": snapshot.stats.stored, "method": snapshot.method}
        trees = {"tstate": snapshot.tstate}
        trees |= {name: tree for name, tree in more.items() if jax.tree.leaves(tree)}
        program = self._program or self._stored
        if program is None:
            metadata |= {"versions": versions(), "settings": self._settings}
        else:
            metadata |= {"versions": program.versions, "program": program.digest}
            trees |= {"program": program.packed}
        save_checkpoint(self.file, metadata, **trees)
        self.saved, self._is_written, self._saved_at = snapshot, True, time.monotonic()

    def _identity(self) -> dict[str, Any]:
        """What a fit began with, which distinguishes its checkpoint from that of another fit."""
        start = self._start
        optimizer = str(jax.tree.structure(start.optimizer_state))
        return {
            "optimiser": re.sub(" at 0x[0-9a-f]+", "", optimizer),
            "first step": int(start.step),
            "first parameters": _digest(start.parameters),
            "first states": _digest(start.states),
            "first state of the optimiser": _digest(start.optimizer_state),
            "data": self._data,
        }


def _stored_program(checkpoint: Checkpoint) -> StepProgram | None:
    digest, versions = (checkpoint.metadata.get(name) for name in ("program", "versions"))
    packed = checkpoint.leaves.get("program")
    if not (isinstance(digest, str) and isinstance(versions, dict) and hasattr(packed, "dtype")):
        return None
    return StepProgram(digest, versions, np.asarray(packed))


def _digest(tree: PyTree) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return digest.hexdigest()[:16]


def _method(leaves: dict[str, PyTree]) -> tuple[Any, ...]:
    """The arrays from which a method of `minimise` continues, in order."""
    found = [path for path in leaves if path.startswith("method.")]
    return tuple(leaves.get(f"method.{index}") for index in range(len(found)))


def _checked(hyperparameters: Mapping[str, JSON]) -> dict[str, Any]:
    """A copy, which later changes of the original leave alone."""
    try:
        return json.loads(json.dumps(dict(hyperparameters)))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"`fit` expects `hyperparameters` that JSON can hold, got {error}. Pass a dict of "
            "strings, numbers, lists and dicts: float(array) for an array of one number."
        ) from None
