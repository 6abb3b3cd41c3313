from typing import NamedTuple

import numpy as np
import pytest

from sciml_lux.precision.internal import python_numbers

pytestmark = pytest.mark.any_precision


class Pair(NamedTuple):
    left: object
    right: object


def test_numpy_scalars_become_python_numbers_in_tuples_too():
    found = python_numbers((np.float64(0.5), (np.int32(2), np.complex64(1j)), np.bool_(True)))
    assert found == (0.5, (2, 1j), True)
    assert [type(value) for value in (found[0], *found[1], found[2])] == [float, int, complex, bool]
    pair = python_numbers(Pair(np.float32(0.5), "name"))
    assert type(pair) is Pair and type(pair.left) is float and pair.right == "name"


def test_arrays_and_other_values_are_left_as_they_are():
    for value in (np.zeros(2), [np.float64(1.0)], "name", None, 3):
        assert python_numbers(value) is value
