"""The program of a training step as checkpoints hold it, to compare a resumed fit with."""

import functools
import hashlib
import importlib.metadata
import itertools
import json
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from ...core import __version__
from ._digest import program_lines
from ._settings import first_changed

_LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "diffrax")
_MOST_BYTES = 2**28  # A forged file cannot unfold to more.
_MOST_LETTERS = 120


class StepProgram(NamedTuple):
    """The program of a step, and the versions under which it was traced.

    Attributes:
        digest: of the equations.
        versions: of the libraries that the equations come from, and the platform.
        packed: settings and equations, compressed JSON, uint8.
    """

    digest: str
    versions: dict[str, str]
    packed: Any

    @property
    def settings(self) -> dict[str, str]:
        """The settings of model, objective and optimiser."""
        return _unpacked(self.packed)[0]

    @property
    def lines(self) -> list[str]:
        """The equations."""
        return _unpacked(self.packed)[1]


def step_program(program: ClosedJaxpr, settings: dict[str, str]) -> StepProgram:
    """The record of a traced program."""
    lines = program_lines(program)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = json.dumps([settings, lines]).encode()
    return StepProgram(digest, versions(), np.frombuffer(zlib.compress(text), np.uint8))


def difference(before: StepProgram, after: StepProgram) -> str:
    """The first setting that differs, or else the first equation, as text."""
    if changed := first_changed(before.settings, after.settings):
        return changed
    pairs = itertools.zip_longest(before.lines, after.lines, fillvalue="at its end")
    for number, (was, now) in enumerate(pairs, 1):
        if was != now:
            return f"line {number} of the program of a step {_parted(was, now)}"
    return "the program of a step was another"


@functools.cache
def versions() -> dict[str, str]:
    """The versions that decide how a step is traced."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"sciml_lux": __version__} | found | {"platform": jax.default_backend()}


def _parted(was: str, now: str) -> str:
    """Both lines as text, shortened: from a little before the place where they differ."""
    was, now = was.strip(), now.strip()
    same = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    start = max(0, same - _MOST_LETTERS // 2)
    dots = "..." if start else ""
    was, now = (dots + text[start : start + _MOST_LETTERS] for text in (was, now))
    return f"was `{was}`, is now `{now}`"


def _unpacked(packed: np.ndarray) -> tuple[dict[str, str], list[str]]:
    """Settings and equations; empty for a file that holds something else."""
    try:
        text = zlib.decompressobj().decompress(np.asarray(packed).tobytes(), _MOST_BYTES)
        settings, lines = json.loads(text)
        return {str(k): str(v) for k, v in settings.items()}, [str(line) for line in lines]
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError):
        return {}, []
