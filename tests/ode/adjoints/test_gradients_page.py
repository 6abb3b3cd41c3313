"""docs/gradients.md: it is the page of its numbers, and they are what it says of them."""

import collections
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location(
    "gradients_page", ROOT / "scripts" / "gradients_page.py"
)
gradients_page = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(gradients_page)
DOCUMENT = json.loads(gradients_page.RESULTS.read_text())


def test_page_is_that_of_its_numbers():
    words = "run python scripts/gradients_page.py --page"
    assert gradients_page.PAGE.read_text() == gradients_page.page(DOCUMENT), words


def test_page_has_every_problem_solver_adjoint_and_tolerance_once():
    names = ("problem", "solver", "adjoint", "rtol")
    rows = collections.Counter(tuple(row[name] for name in names) for row in DOCUMENT["rows"])
    cells = [(*cell, rtol) for cell in gradients_page.cells() for rtol in gradients_page.TOLERANCES]
    assert rows == collections.Counter(cells)


def test_published_gradient_is_met_as_the_page_says():
    rows = [
        row
        for row in DOCUMENT["rows"]
        if row["problem"] == "Lotka-Volterra" and row["rtol"] == 1e-9 and row["solver"] != "Bosh3"
    ]
    assert {row["adjoint"] for row in rows} == set(gradients_page.ADJOINTS)
    for row in rows:
        assert row["error"] < (1e-4 if row["adjoint"] == "ReversibleAdjoint" else 1e-6), row


def test_gradients_that_fail_are_those_that_the_page_names():
    failed = {
        (row["problem"], row["solver"], row["adjoint"], row["rtol"])
        for row in DOCUMENT["rows"]
        if not np.isfinite(row["error"])
    }
    too_many_steps = {("Lotka-Volterra", "Bosh3", name, 1e-9) for name in gradients_page.OURS}
    misses_the_start = {
        ("Lorenz", solver, "ReversibleAdjoint", rtol)
        for solver in ("Tsit5", "Vern7")
        for rtol in gradients_page.TOLERANCES
    }
    misses_the_start |= {("Lotka-Volterra", "Bosh3", "ReversibleAdjoint", 1e-3)}
    assert failed == too_many_steps | misses_the_start


def test_errors_of_stiff_gradients_fall_with_the_tolerance():
    for row in DOCUMENT["rows"]:
        if row["problem"] == "Robertson":
            assert row["error"] < 100 * row["rtol"], row
