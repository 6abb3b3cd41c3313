import csv
import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision
EXAMPLE = Path(__file__).parents[2] / "examples" / "lynx_hare.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("lynx_hare", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_are_the_rows_of_the_file(example):
    years, pelts = example.load()
    lines = [line for line in example.DATA.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert [float(row["year"]) - 1900 for row in rows] == years.tolist() == list(range(21))
    assert [[float(row["hare"]), float(row["lynx"])] for row in rows] == pelts.tolist()
    assert pelts.sum() == pytest.approx(1139.2, abs=1e-9)


def test_persistence_carries_the_last_known_year(example):
    _, pelts = example.load()
    guess = example.persistence(pelts)
    assert guess[0].tolist() == pelts[0].tolist()
    assert (guess[-5:] == pelts[15]).all() and len(guess) == 20
    errors = example.score(guess, pelts)["hold_out"]
    np.testing.assert_allclose(errors["hare"], np.sqrt(np.mean((pelts[16:, 0] - 19.5) ** 2)))


def test_lotka_volterra_baseline_reaches_the_known_minimum(example):
    years, pelts = example.load()
    rates = example.fit_lotka_volterra(years[:16], pelts[:16], starts=1)
    scores = example.score(example.lotka_volterra(rates, years), pelts)
    # Found apart from this code with eight starts: 4.04 in training, 2.86 in the forecast.
    assert scores["train"]["both"] == pytest.approx(4.0355, abs=2e-3)
    assert scores["hold_out"]["both"] == pytest.approx(2.859, abs=2e-2)


def test_report_names_the_winner(example):
    good = {"both": 1.0, "hare": 1.0, "lynx": 1.0}
    bad = {"both": 2.0, "hare": 2.0, "lynx": 2.0}
    text = example.report(
        {
            "universal ODE": {"train": good, "hold_out": bad},
            "persistence": {"train": bad, "hold_out": good},
        }
    )
    assert "Training years: the universal ODE wins." in text
    assert "Forecast 1916-1920: the baseline wins: persistence." in text


@needs_x64
@jax.numpy_rank_promotion("allow")  # An example is written as users write.
def test_interrupted_and_resumed_equals_uninterrupted(example, tmp_path, monkeypatch):
    years, pelts = example.load()
    rates = example.fit_lotka_volterra(years[:16], pelts[:16], starts=1)
    monkeypatch.setattr(example, "fit_lotka_volterra", lambda years, pelts: rates)
    with monkeypatch.context() as without_pictures:
        without_pictures.setattr(example, "draw", lambda *_: None)
        for steps, options in ((7, []), (20, ["--resume"])):
            example.main(["--steps", str(steps), "--output", str(tmp_path / "parts"), *options])
    example.main(["--steps", "20", "--output", str(tmp_path / "whole")])
    parts, whole = ((tmp_path / name) for name in ("parts", "whole"))
    assert (parts / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert (parts / "checkpoint.ckpt").read_bytes() == (whole / "checkpoint.ckpt").read_bytes()
    assert json.loads((whole / "metrics.json").read_text())["steps"] == 20
    for picture in ("forecast.png", "phase_portrait.png", "interaction.png"):
        assert (whole / picture).stat().st_size > 10_000
