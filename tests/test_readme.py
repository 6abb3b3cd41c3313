"""Every Python block of the README and the pages runs, in order, in one namespace for the page."""

import inspect
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import nn, training
from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision
ROOT = Path(__file__).parent.parent
# The page with the names of Lux is made by a program.
WRITTEN = sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "lux_parity.md"})


@needs_x64
@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("README.md", 3),
        ("docs/distributed.md", 1),
        ("docs/stiff.md", 3),
        ("docs/derivatives_of_derivatives.md", 7),
        ("docs/derivatives_of_solves.md", 1),
        ("docs/second_order.md", 2),
        ("docs/kernels.md", 4),
        ("docs/events.md", 4),
    ],
)
def test_code_of_the_pages_runs(page, least, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    assert len(blocks) >= least
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        capsys.readouterr()
        exec(compile(block, page, "exec"), namespace)
        printed = capsys.readouterr().out.splitlines()
        for shown in re.findall(r"^print\(.*\n# (.*)", block, re.M):
            assert shown in printed


@pytest.mark.parametrize("target", ["demo", "test", "bench", "docs-results", "lint", "types"])
def test_readme_and_contributing_name_targets_that_exist(target):
    makefile = (ROOT / "Makefile").read_text()
    pages = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(rf"^{target}:", makefile, re.M) and f"make {target}" in pages


def test_readme_links_to_files_that_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in WRITTEN)]
)
def test_lines_are_at_most_100_characters(page):
    lines = (ROOT / page).read_text().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_what_there_is_names_what_is_exported():
    table = (ROOT / "README.md").read_text().split("## What there is")[1].split("```")[0]
    names = re.findall(r"^\| [a-z].*", table, re.M)
    assert len(names) == 7
    for name in re.findall(r"`(\w+)`", "".join(names)):
        assert hasattr(nn, name), name


def test_minimise_has_the_options_of_fit_that_readme_names():
    options = {"validation", "validation_every", "callbacks", "checkpoint", "resume"}
    for function in (training.fit, training.minimise):
        assert options <= set(inspect.signature(function).parameters)


@needs_x64
def test_numpy_scalar_widens_as_readme_warns():
    x32 = jnp.ones(2, jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        assert (x32 * np.sqrt(2.0)).dtype == jnp.float64
    assert (x32 * math.sqrt(2.0)).dtype == jnp.float32
