"""The progress line of `fit`."""

import importlib.util
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

from ._snapshot import Snapshot

_WINDOW = 20
_MOST_STATS = 4


class ProgressLine:
    """Steps done, rate, losses and time left: one line on a terminal, plain text lines elsewhere.

    In a notebook they are lines of text, too. The rate is that of the last updates, so that neither
    the compilation nor the steps before a resume count. A stream that is closed or broken ends the
    line and not the fit.

    Args:
        total: number of steps.
        done: number of steps taken before.
        epochs: the number of passes over the data in `total` steps, to be shown too.
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
        self._stream: Any = stream if stream is not None else sys.stderr
        self._total, self._epochs, self._seconds = total, epochs, seconds
        self._marks: deque[tuple[float, int]] = deque(maxlen=_WINDOW + 1)
        self._next = time.monotonic()
        self._bar: Any = None
        if enabled and self._stream is not None:
            self._try(self._open, done)
        else:
            self._stream = None

    def update(self, snapshot: Snapshot) -> None:
        """Show `snapshot`, which has a step at least."""
        if self._stream is not None:
            self._try(self._show, snapshot)

    def close(self) -> None:
        """End the line on a terminal, so that what follows is below it."""
        if self._bar is not None:
            self._try(self._bar.close)

    def _try(self, act: Callable[..., None], *arguments: object) -> None:
        try:
            act(*arguments)
        except (OSError, ValueError):  # A broken pipe, a full disk; a stream that was closed.
            if self._bar is not None:
                self._bar.disable = True  # Or it would write once more when it is freed.
            self._stream = self._bar = None

    def _open(self, done: int) -> None:
        if self._stream.isatty() and importlib.util.find_spec("tqdm") is not None:
            from tqdm import tqdm

            class Bar(tqdm):
                # Without a thread that watches the bar: after an interrupt that leaves its lock
                # taken, the end of the process would wait for that thread.
                monitor_interval = 0

            self._bar = Bar(total=self._total, initial=done, unit=" steps", file=self._stream)

    def _show(self, snapshot: Snapshot) -> None:
        now, done = time.monotonic(), snapshot.done
        self._marks.append((now, done))
        if self._bar is not None:
            self._bar.set_description_str(self._epoch(done).strip(), refresh=False)
            self._bar.set_postfix_str(_values(snapshot), refresh=False)
            if len(self._marks) == 1:  # The clock of the bar starts after the compilation.
                self._bar.initial = self._bar.n = self._bar.last_print_n = done
                self._bar.start_t = self._bar.last_print_t = self._bar._time()
                self._bar.refresh()
            else:
                self._bar.update(done - self._bar.n)
        elif now >= self._next or done >= self._total:
            self._next = now + self._seconds
            self._stream.write(self._line(snapshot) + "\n")
            self._stream.flush()

    def _line(self, snapshot: Snapshot) -> str:
        done = snapshot.done
        (begin, first), (end, _) = self._marks[0], self._marks[-1]
        rate = (done - first) / max(end - begin, 1e-9)
        speed = f"  {rate:.1f} steps/s" if rate > 0 else ""
        left = f"{_clock((self._total - done) / rate)} left" if rate > 0 else "compiled"
        if done >= self._total:
            left = "0:00 left"
        return f"{self._epoch(done)}step {done}/{self._total}  {_values(snapshot)}{speed}  {left}"

    def _epoch(self, done: int) -> str:
        """The pass that the last step belongs to."""
        if self._epochs is None:
            return ""
        return f"epoch {-(-done * self._epochs // self._total)}/{self._epochs}  "


def _values(snapshot: Snapshot) -> str:
    """The latest loss, loss on held-out data and scalar stats, of which the first four."""
    values = [("loss", snapshot.losses[-1])]
    if len(snapshot.validation.losses):
        values.append(("validation", snapshot.validation.losses[-1]))
    columns = list(snapshot.stats.columns.items())[:_MOST_STATS]
    values += [(name or "stats", float(column[-1])) for name, column in columns]
    return "  ".join(f"{name} {value:.4e}" for name, value in values)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
