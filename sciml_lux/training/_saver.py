"""When and where `fit` writes checkpoints, and what it may resume from."""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ._checkpoint import checkpoint_file, load_checkpoint, save_checkpoint
from ._checkpoint_format import CheckpointError, is_checkpoint
from ._distributed import placed_as
from ._processes import counts_of_processes, is_first_process, wait_for_processes
from ._run import Run, Validation
from ._stats import Stats
from ._train_state import TrainState

_SECONDS = 10.0


class Saver:
    """Writes checkpoints of one fit; without a path it does nothing.

    Args:
        path: file or folder, or None.
        every: steps between two checkpoints; None for every ten seconds.
        start: the state that the fit was called with.
        data: what decides the order of the data, in words.
        hyperparameters: the user's, written beside the rest.

    Raises:
        TypeError: JSON cannot hold the hyperparameters.
        CheckpointError: the file is there and is no checkpoint; it would be lost.
        OSError: the folder cannot be made or written to. Better now than after the training.

    Attributes:
        file: to write to, or None.
        every: as given.
        saved: what was written or loaded last; at first the start.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        every: int | None,
        start: TrainState,
        data: str,
        hyperparameters: Mapping[str, Any] | None,
    ) -> None:
        self.file = None if path is None else checkpoint_file(path)
        self.every = every
        self._start, self._data = start, data
        self._hyperparameters = None if hyperparameters is None else _checked(hyperparameters)
        self.saved, self._is_written = Run(start), False
        self._saved_at = time.monotonic()
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(self.file.parent, os.W_OK):
            raise PermissionError(f"`fit` cannot write to the folder of {self.file}.")
        if self.file.is_dir():
            raise CheckpointError(f"{self.file} is a folder. Give a path to a file.")
        if self.file.exists() and not is_checkpoint(self.file):
            raise CheckpointError(
                f"{self.file} is no checkpoint and would be overwritten. Give another path."
            )

    def load(self) -> Run:
        """The run to go on with: that of the file, or a new one if there is no file.

        Raises:
            CheckpointError: the file is damaged, or of a fit that began otherwise; processes see
                different files.
        """
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

    def _read(self) -> Run:
        if self.file is None or not self.file.exists():
            return self.saved
        checkpoint = load_checkpoint(self.file)
        tstate = checkpoint.restore(self._start, "train_state")
        for name, value in self._identity().items():
            if checkpoint.metadata.get(name) != value:
                raise CheckpointError(
                    f"checkpoint {self.file} is of another fit: {name} was "
                    f"{checkpoint.metadata.get(name)}, is now {value}. Resume with the model, "
                    "optimiser, state and data that the fit began with, and give each fit of "
                    "several its own path."
                )
        stored = checkpoint.metadata
        if self._hyperparameters is None:
            self._hyperparameters = stored["hyperparameters"]
        self._is_written = self._hyperparameters == stored["hyperparameters"]
        validation = Validation(
            np.asarray(stored["validation steps"], np.int64),
            np.asarray(stored["validation losses"], np.float64),
        )
        has_best = any(path.startswith("best.") for path in checkpoint.leaves)
        best = checkpoint.restore(self._start, "best") if has_best else None
        best = None if best is None else placed_as(best, self._start)
        losses = np.asarray(stored["losses"], np.float64)
        stats, method = Stats.loaded(checkpoint.leaves), _method(checkpoint.leaves)
        if any(array.shape[:1] > losses.shape for array in stats.arrays):
            raise CheckpointError(f"checkpoint {self.file} holds more stats than losses.")
        return Run(placed_as(tstate, self._start), losses, validation, best, stats, method)

    def save_if_due(self, run: Run) -> None:
        """Write if `every` steps, or ten seconds, have gone by."""
        if self.every is not None:
            due = run.done % self.every == 0
        else:
            due = time.monotonic() - self._saved_at > _SECONDS
        if due:
            self.save(run)

    def finish(self, run: Run) -> None:
        """Write at the good end of a fit, also one of no steps, unless the file holds just that."""
        if run is not self.saved or not self._is_written:
            self._write(run)

    def save(self, run: Run) -> None:
        """Write, unless nothing has happened since the last time."""
        if run is not self.saved:
            self._write(run)

    def _write(self, run: Run) -> None:
        if self.file is None or not is_first_process():
            return
        # JSON keeps every digit of a float64, and a history has another length each time.
        metadata = self._identity() | {
            "hyperparameters": self._hyperparameters or {},
            "losses": run.losses.tolist(),
            "validation steps": run.validation.steps.tolist(),
            "validation losses": run.validation.losses.tolist(),
        }
        more = {"best": run.best, "stats": run.stats.stored, "method": run.method}
        trees = {"train_state": run.tstate}
        trees |= {name: tree for name, tree in more.items() if jax.tree.leaves(tree)}
        save_checkpoint(self.file, metadata, **trees)
        self.saved, self._is_written, self._saved_at = run, True, time.monotonic()

    def _identity(self) -> dict[str, Any]:
        """What a fit began with: a checkpoint of another one must not pass for it."""
        start = self._start
        optimizer = str(jax.tree.structure(start.optimizer_state))
        return {
            "model": repr(start.model),
            "optimiser": re.sub(" at 0x[0-9a-f]+", "", optimizer),
            "first step": int(start.step),
            "first parameters": _digest(start.parameters),
            "first states": _digest(start.states),
            "first state of the optimiser": _digest(start.optimizer_state),
            "data": self._data,
        }


def _digest(tree: Any) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return digest.hexdigest()[:16]


def _method(leaves: dict[str, Any]) -> tuple[Any, ...]:
    """The arrays that a method of `minimise` goes on from, in order."""
    found = [path for path in leaves if path.startswith("method.")]
    return tuple(leaves.get(f"method.{index}") for index in range(len(found)))


def _checked(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, which later changes do not reach."""
    try:
        return json.loads(json.dumps(dict(hyperparameters)))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"`fit` expects `hyperparameters` that JSON can hold, got {error}. Pass a dict of "
            "strings, numbers, lists and dicts: float(array) for an array of one number."
        ) from None
