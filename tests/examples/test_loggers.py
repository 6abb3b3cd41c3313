import json

import pytest

from examples import loggers

pytestmark = pytest.mark.any_precision


def test_json_lines_hold_parameters_losses_and_validations(tmp_path):
    result = loggers.main(["--steps", "200", "--output", str(tmp_path)])
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    params = lines[0]["params"]
    assert params["learning_rate"] == 1e-2 and params["parameters"] == 49 and params["steps"] == 200
    found = {line["step"]: line["loss"] for line in lines if "loss" in line}
    assert found == {99: float(result.losses[99]), 199: float(result.losses[199])}
    assert [line["step"] for line in lines if "validation" in line] == [100, 200]


def test_tensorboard_gets_numbers_and_texts_and_is_closed():
    calls = []

    class Writer:
        def __getattr__(self, name):
            return lambda *arguments: calls.append((name, *arguments))

    logger = loggers.TensorBoard(Writer())
    logger.log_params({"width": 3})
    logger.log_scalars(7, {"loss": 0.5})
    logger.close()
    assert calls == [("add_text", "width", "3"), ("add_scalar", "loss", 0.5, 7), ("close",)]
