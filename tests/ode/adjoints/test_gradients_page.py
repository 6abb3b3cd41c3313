"""docs/gradients.md: it is the page of its numbers, and they are what it says of them."""

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


def test_published_gradient_is_met_as_the_page_says():
    rows = [r for r in DOCUMENT["rows"] if r["problem"] == "Lotka-Volterra" and r["rtol"] == 1e-9]
    assert {row["adjoint"] for row in rows} == set(gradients_page.ADJOINTS)
    for row in rows:
        assert row["error"] < (1e-4 if row["adjoint"] == "ReversibleAdjoint" else 1e-6), row


def test_every_problem_has_every_adjoint_of_its_engine():
    rows = {(row["problem"], row["adjoint"]) for row in DOCUMENT["rows"]}
    for problem, setting in gradients_page.settings().items():
        names = gradients_page.THEIRS if setting.stiff else gradients_page.ADJOINTS
        assert {(problem, name) for name in names} <= rows
    failed = [(r["problem"], r["adjoint"]) for r in DOCUMENT["rows"] if not np.isfinite(r["error"])]
    assert failed == [("Lorenz", "ReversibleAdjoint")]
    assert all(row["error"] < 1e-3 for row in DOCUMENT["rows"] if row["problem"] == "Robertson")
