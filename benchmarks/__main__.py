"""Command line: `python -m benchmarks [NAME ...]`; `--help` lists the options."""

import argparse
import importlib
import os
import pkgutil
from pathlib import Path

import jax

from ._measure import check_losses, device_name, measure, read_ratios, table, write_json

_FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks that were named, or all; one table and one file each."""
    known = [m.name for m in pkgutil.iter_modules([str(_FOLDER)]) if not m.name.startswith("_")]
    options = _options(known)
    # Before a benchmark is imported and JAX starts: it would use every core, and float32.
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    if options.x64:
        jax.config.update("jax_enable_x64", True)
    for name in options.names or known:
        file = options.json or _FOLDER / "results" / f"{name}-{device_name()}.json"
        rows = measure(importlib.import_module(f".{name}", __package__).cases(), options.repeats)
        print(table(rows, read_ratios(file)))
        write_json(file, rows)
        check_losses(rows)


def _options(known: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(known)}; all if none")
    parser.add_argument("--json", type=Path, help="file to write, of the one benchmark named")
    parser.add_argument("--repeats", type=int, default=40, help="rounds that count (default 40)")
    parser.add_argument("--cores", type=int, help="of how many to make use (default all)")
    parser.add_argument("--x64", action="store_true", help="turn float64 on, and add its rows")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"NAME is one of {', '.join(known)}, got {', '.join(unknown)}")
    if options.json and len(options.names or known) > 1:
        parser.error("--json names the file of one benchmark, got several. Name one.")
    for name in ("repeats", "cores"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is at least 1, got {value}")
    return options


if __name__ == "__main__":
    main()
