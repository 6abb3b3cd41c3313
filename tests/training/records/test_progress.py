"""The progress line: what it says, and that it never ends a training."""

import io
import sys
import time

import numpy as np
import pytest

from sciml_lux import losses, training
from sciml_lux.training.objectives._stats import Stats
from sciml_lux.training.records import _progress
from sciml_lux.training.records._snapshot import Snapshot
from sciml_lux.training.records._validation import Validation
from tests.training.models import line_data, tiny_state

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
STATE = tiny_state("float32")


def run_of(done, validation=None, stats=None):
    held_out = (
        Validation()
        if validation is None
        else Validation(np.asarray([done]), np.asarray([validation]))
    )
    kept = Stats() if stats is None else Stats.of({k: np.full(done, v) for k, v in stats.items()})
    return Snapshot(STATE, np.full(done, 0.5), held_out, stats=kept)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def test_compilation_and_what_lies_behind_are_not_in_the_rate(clock):
    stream = io.StringIO()
    line = _progress.ProgressLine(10_000, done=5_000, stream=stream, seconds=1.0)
    clock[0] += 60.0  # The first steps are compiled.
    line.update(run_of(5_001))
    for done in (5_011, 5_021):
        clock[0] += 2.0
        line.update(run_of(done))
    assert stream.getvalue().splitlines() == [
        "step 5001/10000  loss 5.0000e-01  compiled",
        "step 5011/10000  loss 5.0000e-01  5.0 steps/s  16:38 left",
        "step 5021/10000  loss 5.0000e-01  5.0 steps/s  16:36 left",
    ]


def test_the_rate_is_that_of_the_last_updates(clock):
    stream = io.StringIO()
    line = _progress.ProgressLine(10_000, stream=stream, seconds=0.0)
    for done in range(1, 30):
        clock[0] += 100.0 if done < 5 else 1.0
        line.update(run_of(done))
    assert stream.getvalue().splitlines()[-1].endswith("1.0 steps/s  2:46:11 left")


def test_validation_and_scalar_stats_stand_beside_the_loss():
    stream = io.StringIO()
    line = _progress.ProgressLine(3, stream=stream)
    line.update(run_of(3, validation=0.25, stats=dict.fromkeys("abcde", 2)))
    assert stream.getvalue() == (
        "step 3/3  loss 5.0000e-01  validation 2.5000e-01  a 2.0000e+00  b 2.0000e+00  "
        "c 2.0000e+00  d 2.0000e+00  0:00 left\n"
    )


class Broken(io.StringIO):
    """A stream that breaks after some writes, as a pipe whose reader has gone."""

    def __init__(self, writes, tty=False):
        super().__init__()
        self.writes, self.tty, self.tries = writes, tty, 0

    def isatty(self):
        return self.tty

    def write(self, text):
        self.tries += 1
        if self.tries > self.writes:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("writes", [0, 1])
def test_a_stream_that_breaks_does_not_end_the_training(monkeypatch, tty, writes):
    stream = Broken(writes, tty)
    monkeypatch.setattr(sys, "stderr", stream)
    result = training.fit(STATE, MSE, line_data("float32"), steps=30)
    assert len(result.losses) == 30 and stream.tries > writes


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_is_closed_or_missing_does_not_end_the_training(monkeypatch, closed):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if closed else None)
    assert len(training.fit(STATE, MSE, line_data("float32"), steps=3).losses) == 3


def test_the_bar_of_a_terminal_begins_its_clock_behind_the_compilation():
    stream = Broken(10**6, tty=True)
    line = _progress.ProgressLine(100, done=40, stream=stream)
    opened = line._bar.start_t
    time.sleep(0.1)  # Compilation.
    line.update(run_of(41))
    assert line._bar.start_t > opened + 0.09 and line._bar.initial == 41
    line.update(run_of(60, validation=0.25))
    assert line._bar.n == 60 and line._bar.postfix == "loss 5.0000e-01  validation 2.5000e-01"
    line.close()
    assert "60/100" in stream.getvalue()
