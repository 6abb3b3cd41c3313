"""The stored values of torch are what torch computes, where it is installed."""

import numpy as np
import pytest

from tests.references import FILE
from tests.references._make import make


def test_stored_values_are_what_torch_computes():
    torch = pytest.importorskip("torch")
    made = make(torch)
    with np.load(FILE, allow_pickle=False) as stored:
        assert set(stored) == set(made)
        for name, array in made.items():
            np.testing.assert_allclose(stored[name], array, rtol=1e-13, atol=1e-13, err_msg=name)
