"""Mistakes put into the source one at a time, each of which the tests must see.

    python -m tests.mutations [NAME ...] [--twins]

Each mistake is made in a copy of the tree, in which its tests run with XLA in a hurry, as
`make test` has them. The mistakes are in tests/mutations.txt. A file is found by its name and by
the text that the mistake replaces, so that it may move; a mistake whose text is no longer found, or
is found twice, is an error. With `--twins` its tests must pass without the mistake, too. The exit
status is the number of mistakes that no test sees.
"""

import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("mutations.txt")
FORMAT = re.compile(
    r"## (?P<name>.+)\n(?P<file>\S+\.py)\n(?P<tests>.+)\n"
    r"<<<<\n(?P<old>(?:.*\n)+?)====\n(?P<new>(?:.*\n)*?)>>>>\n"
)
CAUGHT, MISSED = 1, 0  # The exit status of pytest.
FLOAT64_OFF = "float64 off: "


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One mistake.

    Attributes:
        name: what is wrong with the code that has it.
        file: the name of a file in `sciml_lux`.
        tests: names of test files, and `-k` with an expression that picks from them; after
            `float64 off: ` where that pass of `make test` is meant.
        old: lines of the file.
        new: the wrong ones.
    """

    name: str
    file: str
    tests: str
    old: str
    new: str

    def place(self, root: Path) -> Path:
        """The file, in a tree at `root`."""
        places = [
            path
            for path in (root / "sciml_lux").rglob(self.file)
            for _ in range(path.read_text().count(self.old))
        ]
        if len(places) != 1:
            raise LookupError(f"{self.name}: its text stands {len(places)} times in {self.file}")
        return places[0]

    def arguments(self, root: Path) -> list[str]:
        """What pytest gets."""
        names, _, expression = self.tests.removeprefix(FLOAT64_OFF).partition(" -k ")
        files = []
        for name in names.split():
            found = sorted((root / "tests").rglob(name))
            if not found:
                raise LookupError(f"{self.name}: there is no {name}")
            files += map(str, found)
        return [*files, *(["-k", expression] if expression else [])]


def mutations() -> list[Mutation]:
    """All of the list."""
    text = LIST.read_text()
    found = [Mutation(**match.groupdict()) for match in FORMAT.finditer(text)]
    if len(found) != text.count("\n## ") + text.startswith("## "):
        raise LookupError(f"{LIST.name} has an entry that is not of the format")
    return found


def copied(folder: str) -> Path:
    """A copy of what the tests need."""
    kept = ("sciml_lux", "tests", "examples", "docs", "benchmarks", "scripts")
    for name in kept:
        shutil.copytree(
            ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "Makefile"):
        shutil.copy(ROOT / name, folder)
    return Path(folder)


def environment(root: Path) -> dict[str, str]:
    """Variables for the tests of a tree at `root`, in the pass with float64 on."""
    script = ["bash", str(ROOT / "scripts" / "xla_flags.sh"), sys.executable]
    flags = subprocess.run(script, check=True, capture_output=True, text=True).stdout.strip()
    more = {"PYTHONPATH": str(root), "XLA_FLAGS": flags, "JAX_ENABLE_X64": "1"}
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1"} | more


def fails(mutation: Mutation, root: Path, variables: dict[str, str]) -> bool:
    """Whether a test of a mistake fails in the tree at `root`."""
    if mutation.tests.startswith(FLOAT64_OFF):
        variables = variables | {"JAX_ENABLE_X64": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += mutation.arguments(root)
    done = subprocess.run(
        command, cwd=root, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode not in (CAUGHT, MISSED):
        raise RuntimeError(f"{mutation.name}: pytest did not run\n{done.stdout}{done.stderr}")
    return done.returncode == CAUGHT


def is_caught(mutation: Mutation, root: Path, variables: dict[str, str]) -> bool:
    """Whether a test fails in the tree at `root` with the mistake made."""
    place = mutation.place(root)
    whole = place.read_text()
    place.write_text(whole.replace(mutation.old, mutation.new))
    try:
        return fails(mutation, root, variables)
    finally:
        place.write_text(whole)


def main() -> int:
    """The number of mistakes that no test saw."""
    parser = argparse.ArgumentParser(description="Do the tests see these mistakes?")
    parser.add_argument("names", nargs="*", help="words of the names of some")
    parser.add_argument("--twins", action="store_true", help="run each without the mistake as well")
    options = parser.parse_args()
    words = options.names or [""]
    picked = [m for m in mutations() if any(word in m.name for word in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = copied(folder)
        variables = environment(root)
        for mutation in picked:
            begun = time.monotonic()
            if options.twins and fails(mutation, root, variables):
                raise RuntimeError(f"{mutation.name}: its tests fail without the mistake too")
            caught = is_caught(mutation, root, variables)
            missed += not caught
            word = "caught" if caught else "NOT CAUGHT"
            print(f"{word:10} {time.monotonic() - begun:5.0f} s  {mutation.name}", flush=True)
    print(f"{len(picked) - missed} of {len(picked)} caught")
    return missed


if __name__ == "__main__":
    sys.exit(main())
