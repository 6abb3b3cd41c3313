import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.precision.internal import resolve_dtype
from tests.conftest import needs_x32, needs_x64


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (jnp.float32, "float32"),
        (np.float16, "float16"),
        ("bfloat16", "bfloat16"),
        (np.dtype("complex64"), "complex64"),
        (jnp.dtype(jnp.float32), "float32"),
    ],
)
def test_resolve_dtype_takes_types_names_and_dtypes(given, name):
    resolved = resolve_dtype(given)
    assert isinstance(resolved, np.dtype) and resolved == jnp.dtype(name)


@needs_x64
@pytest.mark.parametrize("given", [jnp.float64, "float64", "complex128"])
def test_resolve_dtype_of_wide_dtypes_with_x64_on(given):
    assert resolve_dtype(given) == jnp.dtype(given)


@needs_x32
def test_resolve_dtype_of_wide_dtypes_with_x64_off_raises():
    with pytest.raises(TypeError, match=r"^`dtype` is float64, but jax_enable_x64 is off"):
        resolve_dtype("float64")
    with pytest.raises(TypeError, match=r"^`weights` is complex128, but jax_enable_x64 is off"):
        resolve_dtype(jnp.complex128, "`weights`")


@pytest.mark.parametrize("dtype", [jnp.int32, bool, "uint8", "nonsense", 3, object, None])
def test_resolve_dtype_of_others_raises(dtype):
    with pytest.raises(
        TypeError, match=r"^`dtype` must be a floating or complex dtype, got .*Pass "
    ):
        resolve_dtype(dtype)
