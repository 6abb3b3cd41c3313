"""Times of cases measured in turn, as rows of a table and of a JSON file."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

Run = Callable[[int], Any]

_STEPS = 100
_DISCARDED = 2
_LOSS_TOLERANCE = 0.02
_PACKAGES = ("jax", "jaxlib", "numpy", "optax", "equinox", "flax")
_HEADER = (
    *("row", "peer", "median us", "min", "max", "ratio", "last ratio", "final loss", "difference"),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to do the work of a row.

    Attributes:
        name: op/size/dtype/direction/device. Cases of one name give the same outputs; the first
            of them is what the others are compared with.
        peer: who does it.
        run: `run(n)` takes n more steps, waits for them, and returns the loss at the last one;
            None where the peer is not installed.
        steps: the number of steps in a round.
        difference: how far its outputs are from those of the first case, where that is known.
    """

    name: str
    peer: str
    run: Run | None
    steps: int = _STEPS
    difference: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of a case; all numbers are None where the peer is not installed.

    Attributes:
        name: that of the case.
        peer: that of the case.
        median_us: median over the rounds of the microseconds per step.
        min_us: of the fastest round.
        max_us: of the slowest round.
        ratio: median over the rounds of this time divided by that of the first case of the name.
        final_loss: the loss at the last step.
        steps: the number of steps in a round.
        difference: that of the case.
    """

    name: str
    peer: str
    median_us: float | None = None
    min_us: float | None = None
    max_us: float | None = None
    ratio: float | None = None
    final_loss: float | None = None
    steps: int = _STEPS
    difference: float | None = None


def measure(cases: list[Case], repeats: int) -> list[Row]:
    """Run all cases in turn for `repeats` rounds and return a row for each case.

    A round runs every case once, so that a slow moment of the machine affects all of them, in an
    order that rotates. The first rounds, which compile and warm up, are not counted.
    """
    runs = [(case, case.run) for case in cases if case.run]
    times: dict[Case, list[float]] = {case: [] for case, _ in runs}
    losses: dict[Case, float] = {}
    for i in range(_DISCARDED + repeats):
        start = i % len(runs)
        for case, run in runs[start:] + runs[:start]:
            elapsed, losses[case] = _timed(run, case.steps)
            times[case].append(elapsed)
    kept = {case: values[_DISCARDED:] for case, values in times.items()}
    baselines = {case.name: kept[case] for case, _ in reversed(runs)}
    return [
        _row(case, kept[case], baselines[case.name], losses[case])
        if case in kept
        else Row(case.name, case.peer, steps=case.steps)
        for case in cases
    ]


def table(rows: list[Row], last_ratios: dict[tuple[str, str], float]) -> str:
    """The rows as aligned text, with the ratios of an earlier run beside the new ones."""
    lines = [_HEADER, *(_cells(row, last_ratios.get((row.name, row.peer))) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def check_losses(rows: list[Row]) -> None:
    """Compare the losses of all rows of one op, size and dtype.

    Raises:
        ValueError: two peers were not trained to the same loss; their times say nothing then.
    """
    first: dict[str, Row] = {}
    for row in rows:
        if row.final_loss is None:
            continue
        expected = first.setdefault("/".join(row.name.split("/")[:3]), row)
        if expected.final_loss is None:
            continue
        if not abs(row.final_loss - expected.final_loss) <= _LOSS_TOLERANCE * expected.final_loss:
            raise ValueError(
                f"`{row.peer}` in {row.name} must reach the loss of `{expected.peer}`, "
                f"{expected.final_loss:.6g}, got {row.final_loss:.6g}. Give both the same "
                "weights, data and arithmetic."
            )


def device_name() -> str:
    """The kind of the default device as part of a row name, such as `cpu`."""
    return re.sub(r"[^a-z0-9]+", "-", jax.devices()[0].device_kind.lower())


def write_json(file: Path, rows: list[Row]) -> None:
    """Write the rows, and what they were measured with."""
    document = {
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "x64": jax.config.jax_enable_x64,  # pyright: ignore[reportAttributeAccessIssue]
        "versions": {"python": platform.python_version()} | _versions(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n")


def read_ratios(file: Path) -> dict[tuple[str, str], float]:
    """The ratios that `write_json` wrote, by name and peer; none if there is no file."""
    if not file.exists():
        return {}
    rows = [Row(**row) for row in json.loads(file.read_text())["rows"]]
    return {(row.name, row.peer): row.ratio for row in rows if row.ratio is not None}


def _timed(run: Run, steps: int) -> tuple[float, float]:
    """Microseconds per step, and the loss at the last one."""
    begin = time.perf_counter()
    loss = run(steps)
    return (time.perf_counter() - begin) / steps * 1e6, float(loss)


def _row(case: Case, times: list[float], baseline: list[float], loss: float) -> Row:
    ratio = statistics.median(t / b for t, b in zip(times, baseline, strict=True))
    median, low, high = statistics.median(times), min(times), max(times)
    extra = case.steps, case.difference
    return Row(case.name, case.peer, median, low, high, ratio, loss, *extra)


def _cells(row: Row, last_ratio: float | None) -> tuple[str, ...]:
    if row.median_us is None:
        return (row.name, row.peer, "not installed", *[""] * (len(_HEADER) - 3))
    times = (f"{value:.1f}" for value in (row.median_us, row.min_us, row.max_us))
    last = "" if last_ratio is None else f"{last_ratio:.3f}"
    difference = "" if row.difference is None else f"{row.difference:.1e}"
    return row.name, row.peer, *times, f"{row.ratio:.3f}", last, f"{row.final_loss:.6g}", difference


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    names = (f"{cell:<{width}}" for cell, width in zip(cells[:2], widths[:2], strict=True))
    numbers = (f"{cell:>{width}}" for cell, width in zip(cells[2:], widths[2:], strict=True))
    return "  ".join((*names, *numbers)).rstrip()


def _versions() -> dict[str, str | None]:
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
