"""The progress line of `fit`."""

import importlib.util
import sys
import time
from typing import Any, TextIO


class ProgressLine:
    """Steps done, rate, loss and time left: one line on a terminal, plain text lines elsewhere.

    Args:
        total: number of steps.
        done: number of steps that lie behind already.
        epochs: the number of passes over the data that `total` makes, to be counted too.
        enabled: False prints nothing.
        stream: where it goes; standard error by default.
        seconds: between two plain text lines.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        epochs: int | None = None,
        enabled: bool = True,
        stream: TextIO | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._total, self._first, self._seconds = total, done, seconds
        self._epochs = epochs
        self._start = time.monotonic()
        self._next = self._start
        self._enabled = enabled
        self._bar = self._terminal_bar(done) if enabled and self._stream.isatty() else None

    def _terminal_bar(self, done: int) -> Any:
        if importlib.util.find_spec("tqdm") is None:
            return None
        from tqdm import tqdm

        return tqdm(total=self._total, initial=done, unit=" steps", file=self._stream)

    def update(self, done: int, loss: float) -> None:
        """`done` steps are behind; `loss` is the latest."""
        if not self._enabled:
            return
        if self._bar is not None:
            self._bar.set_description_str(self._epoch(done).strip(), refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.4e}", refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now >= self._next or done >= self._total:
            self._next = now + self._seconds
            self._stream.write(self._line(done, loss, now - self._start) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the terminal's line as it is and go on below it."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, done: int, loss: float, elapsed: float) -> str:
        rate = (done - self._first) / max(elapsed, 1e-9)
        left = (self._total - done) / rate if rate > 0 else float("inf")
        return (
            f"{self._epoch(done)}step {done}/{self._total}  loss {loss:.4e}  {rate:.1f} steps/s  "
            f"{_clock(left)} left"
        )

    def _epoch(self, done: int) -> str:
        """The pass that the last step belongs to."""
        if self._epochs is None:
            return ""
        return f"epoch {-(-done * self._epochs // self._total)}/{self._epochs}  "


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
