import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sciml_lux import io
from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "data_parallel.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("data_parallel", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(folder, steps):
    return ["--steps", str(steps), "--rows", "64", "--output", str(folder)]


@needs_x64
@pytest.mark.slow
def test_two_processes_print_the_losses_of_one(example, tmp_path, capsys):
    losses = example.main(arguments(tmp_path / "one", 20))
    assert "1 processes, 1 devices, 64 rows" in capsys.readouterr().out
    command = [sys.executable, "-m", "sciml_lux.devices", "--processes", "2", str(EXAMPLE)]
    for more in ([10], [20, "--resume"]):
        done = subprocess.run(
            [*command, *arguments(tmp_path / "two", more[0]), *more[1:]],
            env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-4000:]
    assert b"2 processes, 2 devices, 64 rows" in done.stdout
    stored = io.load_checkpoint(tmp_path / "two").metadata["losses"]
    np.testing.assert_allclose(stored, losses, rtol=1e-12)
