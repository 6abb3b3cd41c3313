"""A training killed with SIGKILL at random moments loses at most the step it was saving."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest

from sciml_lux import io
from tests.conftest import needs_x64
from tests.training.fitting import killed_run
from tests.training.models import assert_same_bits

pytestmark = [needs_x64, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]
MAX_EVENTS = 20


class Trainer:
    """Starts, kills and awaits trainings in other processes."""

    def __init__(self, process):
        self._process = process

    def start(self, optimizer, steps, folder):
        self._order(f"start {optimizer} {steps} {folder}")

    def read(self):
        """The next event: a word and a number."""
        word, number = self._process.stdout.readline().split()
        return word, int(number)

    def end(self, order):
        """(exit status, last event before the end)."""
        self._order(order)
        event = last = None
        while event is None or event[0] != "ended":
            last, event = event, self.read()
        return event[1], last

    def _order(self, text):
        print(text, file=self._process.stdin, flush=True)


@pytest.fixture
def trainer():
    command = [sys.executable, "-m", "tests.training.fitting.killed_run"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        yield Trainer(process)
        process.stdin.close()


@dataclasses.dataclass
class Case:
    """One training: how to start it, and what it must come to."""

    trainer: Trainer
    optimizer: str
    steps: int
    folder: Path

    def __post_init__(self):
        self.first = killed_run.start(self.optimizer)
        # In this process, at one go, without checkpoints.
        self.whole = killed_run.fit(self.first, self.steps)

    def start(self):
        self.trainer.start(self.optimizer, self.steps, self.folder)

    def load(self):
        """(state, losses) on the disk, checked against the losses of the uninterrupted run."""
        if not (self.folder / "checkpoint.ckpt").exists():
            return self.first, 0
        checkpoint = io.load_checkpoint(self.folder)
        found = checkpoint.restore(self.first, "tstate")
        losses = np.asarray(checkpoint.metadata["losses"])
        assert int(found.step) == len(losses)
        assert losses.tobytes() == self.whole.losses[: len(losses)].tobytes()
        return found, len(losses)

    def kill_at_random(self, rng):
        """Start and kill after some events and a moment; the last event."""
        self.start()
        last = None
        for _ in range(rng.randrange(MAX_EVENTS)):
            last = self.trainer.read()
        time.sleep(rng.random() * 0.01)
        status, later = self.trainer.end("kill")
        assert status == -signal.SIGKILL
        return later or last

    def survive(self, kills, seed):
        """Kill again and again, let it end, compare; how many kills hit a save, or none."""
        rng, done, moments = random.Random(seed), 0, Counter()
        for _ in range(kills):
            # Without an event it was killed before its first save.
            word, step = self.kill_at_random(rng) or ("start", done)
            done = self.load()[1]
            assert done in ({step - 1, step} if word == "begun" else {step})
            moments[word] += 1
            left = os.listdir(self.folder) if self.folder.exists() else []
            kinds = Counter(name.split(".")[0] for name in left)
            assert max(kinds.values(), default=0) <= 2, "what earlier kills left should be gone"
        assert 0 < done < self.steps
        self.start()
        assert self.trainer.end("wait")[0] == 0
        resumed, done = self.load()
        assert done == self.steps
        assert_same_bits(key_data(resumed), key_data(self.whole.tstate))
        assert set(os.listdir(self.folder)) == {"checkpoint.ckpt", "losses.csv"}
        rows = (self.folder / "losses.csv").read_text().splitlines()[1:]
        expected = [f"{i},{loss!r}," for i, loss in enumerate(self.whole.losses.tolist())]
        assert rows == expected, "each step has one row, however often it was killed"
        return moments


def key_data(tree):
    def data(leaf):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if is_key else leaf

    return jax.tree.map(data, tree)


def test_fit_killed_a_few_times_resumes_to_the_same_bits(trainer, tmp_path):
    Case(trainer, "adam", 60, tmp_path / "run").survive(kills=4, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_fit_killed_fifty_times_resumes_to_the_same_bits(trainer, tmp_path, optimizer):
    moments = Case(trainer, optimizer, 1200, tmp_path / "run").survive(kills=50, seed=1)
    # The killing is of no worth if it never hits a save, or nothing but saves.
    assert moments["begun"] >= 5 and moments["saved"] >= 5, moments


def test_fit_that_meets_other_data_has_other_bits(monkeypatch):
    """The twin that shows that the comparison above can fail: one batch of three is another."""
    first, batch = killed_run.start("adam"), killed_run.batch
    right = killed_run.fit(first, 3).losses
    monkeypatch.setattr(
        killed_run, "batch", lambda step: batch(step + (step == 1).astype(step.dtype))
    )
    wrong = killed_run.fit(first, 3).losses
    assert right[0] == wrong[0] and right[1] != wrong[1] and right[2] != wrong[2]
