"""CSVLog: the losses of a fit as a file of comma-separated values."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from ...devices.internal import is_first_process
from ...io.internal import write_whole
from ..records._fit_run import FitRun
from ._callback import Callback

_HEADER = "step,loss,validation"


class CSVLog(Callback):
    """Write a row `step,loss,validation` for each step, with all digits of a float64.

    A column `stats.name` follows for each real scalar among the stats of the objective.

    Loss and validation are those of the state after `step` updates. The validation is empty at most
    steps, and the loss is empty in the row of the last state, which is there if it was validated. A
    fit overwrites the file; a resumed one begins it with the rows of the steps taken, so that none
    is missing or there twice. `fit` writes such a file, `losses.csv`, where `checkpoint` is a
    folder.

    Args:
        path: of the file; folders are made.

    Raises:
        FileExistsError: the file exists and is not such a log.

    Example:
        >>> CSVLog("runs/spiral/losses.csv")
        CSVLog("runs/spiral/losses.csv")
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path).expanduser()
        self._file: TextIO | None = None
        self._written, self._columns = 0, ()

    def on_start(self, run: FitRun) -> None:
        """Write the rows of the steps taken; of several processes, the first one writes."""
        if not is_first_process():
            return
        if self.path.exists() and not (self.path.is_file() and _is_log(_first_line(self.path))):
            raise FileExistsError(
                f"{self.path} is not a log of losses and would be overwritten. Give another path."
            )
        self._open(run)

    def on_steps(self, run: FitRun) -> None:
        """Write the rows of the new steps."""
        if self._file is not None:
            self._write_new(run)
            self._file.flush()

    def on_end(self, run: FitRun) -> None:
        """Write what is left, and close."""
        if self._file is None:
            return
        self._write_new(run)
        last = _validations(run).get(run.step)
        # Its row is there already if the update from this state was taken back.
        if last is not None and self._written == run.done:
            empty = [""] * len(self._columns)
            self._file.write(_row([run.step, "", repr(last), *empty]))
        self._file.close()
        self._file = None

    def _open(self, run: FitRun) -> None:
        """Overwrite the file with the rows of the steps taken, and leave it open."""
        self._written, self._columns = 0, tuple(run.snapshot.stats.columns)
        names = [f"stats.{name}" if name else "stats" for name in self._columns]
        header = _row([*_HEADER.split(","), *names])
        write_whole(self.path, [f"{header}{self._new_rows(run)}".encode()])
        self._file = open(self.path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115

    def _write_new(self, run: FitRun) -> None:
        if self._file is not None and tuple(run.snapshot.stats.columns) != self._columns:
            self._file.close()  # The columns are known after the first steps.
            self._open(run)
        elif self._file is not None:
            self._file.write(self._new_rows(run))

    def _new_rows(self, run: FitRun) -> str:
        held_out, columns = _validations(run), run.snapshot.stats.columns.values()
        rows = []
        for index in range(self._written, run.done):
            step = run.first_step + index
            validation = repr(held_out[step]) if step in held_out else ""
            stats = [_cell(column, index - run.done) for column in columns]
            rows.append(_row([step, repr(float(run.losses[index])), validation, *stats]))
        self._written = max(self._written, run.done)
        return "".join(rows)

    def __repr__(self) -> str:
        return f'CSVLog("{self.path}")'


def _validations(run: FitRun) -> dict[int, float]:
    return dict(zip(run.validation.steps.tolist(), run.validation.losses.tolist(), strict=True))


def _cell(column: np.ndarray, index: int) -> str:
    """An entry counted from the end, empty where the stats begin later than the losses."""
    return repr(column[index].item()) if len(column) >= -index else ""


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _is_log(header: str) -> bool:
    """Whether a file with this first line is a log, possibly with other stats."""
    return header == _HEADER or header.startswith((f"{_HEADER},stats", f'{_HEADER},"stats'))


def _first_line(path: Path) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n")
