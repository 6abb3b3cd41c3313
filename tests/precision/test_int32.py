import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.precision.internal import count_in_int32, index_in_int32
from tests.conftest import X64

SHORT = ["int8", "uint8", "int16", "uint16", "int32"]
LONG = ["uint32", "int64", "uint64"]


def made_with_x64(numbers, kind):
    with jax.enable_x64(True):
        return jnp.asarray(numbers, kind)


CASES = [(np.asarray, kind) for kind in SHORT + LONG]
CASES += [(jnp.asarray, kind) for kind in SHORT + (LONG if X64 else LONG[:1])]
CASES += [(made_with_x64, kind) for kind in LONG]


def extremes(kind):
    """The least and the greatest number of the dtype, and others that a cut would bring inside."""
    limits = np.iinfo(kind)
    some = [limits.min, 0, 1, 5, 299, 300, 2**32, 2**32 + 1, -(2**40), limits.max]
    return [v for v in some if limits.min <= v <= limits.max]


@pytest.mark.parametrize(("array", "kind"), CASES)
@pytest.mark.parametrize("size", [0, 3, 300])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_integers_of_any_dtype_come_to_int32_uncut(array, kind, size, transform):
    numbers = extremes(kind)
    values = array(numbers, kind)
    count = transform(lambda: count_in_int32(values, size))()
    assert count.dtype == jnp.int32
    assert count.tolist() == [min(max(v, 0), size) for v in numbers]
    index = transform(lambda: index_in_int32(values, size))()
    assert index.dtype == jnp.int32
    outside = numbers if kind in SHORT else [-1] * len(numbers)
    want = [v if 0 <= v < size else other for v, other in zip(numbers, outside, strict=True)]
    assert index.tolist() == want
