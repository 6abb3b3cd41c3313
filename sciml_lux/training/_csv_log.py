"""CSVLog: the losses of a fit as a file of plain text."""

import os
from pathlib import Path
from typing import TextIO

from ..devices.internal import is_first_process
from ..io.internal import write_whole
from ._callback import Callback
from ._run import FitRun

_HEADER = "step,loss,validation"


class CSVLog(Callback):
    """Write a row `step,loss,validation` for each step, all digits of a float64.

    Loss and validation are those of the state with `step` updates behind it; the validation is
    empty at most steps, and so is the loss of the last state, when it has a validation. A fit
    writes the file anew, a resumed one with the rows that lie behind it, so that none is missing
    or there twice. `fit` keeps such a file as `losses.csv` where `checkpoint` names a folder.

    Args:
        path: of the file; folders are made.

    Raises:
        FileExistsError: the file is there and is no such log; it would be lost.

    Example:
        >>> CSVLog("runs/spiral/losses.csv")
        CSVLog("runs/spiral/losses.csv")
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path).expanduser()
        self._file: TextIO | None = None
        self._written = 0

    def on_start(self, run: FitRun) -> None:
        """Write what lies behind; of several processes the first one does."""
        if not is_first_process():
            return
        is_log = self.path.is_file() and _first_line(self.path) == _HEADER
        if self.path.exists() and not is_log:
            raise FileExistsError(
                f"{self.path} is no log of losses and would be overwritten. Give another path."
            )
        self._written = 0
        write_whole(self.path, [f"{_HEADER}\n{self._new_rows(run)}".encode()])
        self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115

    def on_steps(self, run: FitRun) -> None:
        """Write the rows of the new steps."""
        if self._file is not None:
            self._file.write(self._new_rows(run))
            self._file.flush()

    def on_end(self, run: FitRun) -> None:
        """Write what is left, and close."""
        if self._file is None:
            return
        self._file.write(self._new_rows(run))
        last = _validations(run).get(run.step)
        if last is not None:
            self._file.write(f"{run.step},,{last!r}\n")
        self._file.close()
        self._file = None

    def _new_rows(self, run: FitRun) -> str:
        held_out = _validations(run)
        rows = []
        for index in range(self._written, run.done):
            step = run.first_step + index
            validation = repr(held_out[step]) if step in held_out else ""
            rows.append(f"{step},{float(run.losses[index])!r},{validation}\n")
        self._written = run.done
        return "".join(rows)

    def __repr__(self) -> str:
        return f'CSVLog("{self.path}")'


def _validations(run: FitRun) -> dict[int, float]:
    return dict(zip(run.validation.steps.tolist(), run.validation.losses.tolist(), strict=True))


def _first_line(path: Path) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n")
