import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ComponentArray, Record, StatefulLuxLayer, Static, nn, setup
from sciml_lux.precision import bf16, f16, f32, f64
from tests.conftest import X64, needs_x64

CONVERSIONS = [
    (f16, "float16", "complex64"),
    (bf16, "bfloat16", "complex64"),
    (f32, "float32", "complex64"),
]
if X64:
    CONVERSIONS.append((f64, "float64", "complex128"))


@pytest.mark.parametrize(("convert", "real", "complex_"), CONVERSIONS)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_floating_leaves_are_converted(convert, real, complex_, name):
    leaf = np.asarray([0.5, -2.0]).astype(jnp.dtype(name))
    converted = convert(Record(w=leaf)).w
    assert isinstance(converted, jax.Array) and converted.dtype.name == real
    np.testing.assert_array_equal(np.asarray(converted, np.float64), [0.5, -2.0])


@pytest.mark.parametrize(("convert", "real", "complex_"), CONVERSIONS)
@pytest.mark.parametrize("name", ["complex64", "complex128"])
def test_complex_leaves_stay_complex(convert, real, complex_, name):
    converted = convert([np.asarray([1 + 2j], name)])[0]
    assert converted.dtype.name == complex_ and converted.tolist() == [1 + 2j]


@pytest.mark.parametrize(("convert", "real", "complex_"), CONVERSIONS)
def test_all_else_is_untouched(convert, real, complex_):
    tree = Record(
        integer=jnp.arange(2, dtype=jnp.int32),
        unsigned=np.ones(2, np.uint8),
        flag=jnp.ones(2, bool),
        key=jax.random.key(0),
        static=Static(1.5),
        number=1.5,
        text="a",
        none=None,
    )
    converted = convert(tree)
    assert list(converted) == list(tree)
    for name in tree:
        assert converted[name] is tree[name]


@pytest.mark.parametrize(("convert", "real", "complex_"), CONVERSIONS)
def test_numpy_scalars_become_arrays(convert, real, complex_):
    assert convert(np.float64(0.5)).dtype.name == real


def test_values_are_rounded_to_the_nearest():
    assert f16(jnp.asarray(0.1, jnp.float32)).item() == float(np.float16(np.float32(0.1)))
    assert bf16(jnp.asarray(1.0 + 2.0**-9, jnp.float32)).item() == 1.0
    assert f32(np.float64(0.1)).item() == float(np.float32(0.1))


@needs_x64
def test_widening_and_back_is_exact():
    ps, _ = setup(0, nn.Dense(3, 4))
    back = f32(f64(ps))
    np.testing.assert_array_equal(back.weight, ps.weight)
    assert f64(ps).weight.dtype == jnp.float64


@pytest.mark.parametrize("tree", [Record(w=np.ones(2, np.float32)), Record(), 1.0])
def test_f64_with_x64_off_raises(tree):
    with jax.enable_x64(False):
        text = "^`f64`: the dtype asked for is float64, but jax_enable_x64 is off"
        with pytest.raises(TypeError, match=text):
            f64(tree)


def test_f64_inside_the_context():
    with jax.enable_x64(True):
        assert f64(np.ones(2, np.float32)).dtype == jnp.float64


def test_component_arrays_and_functions_are_converted_as_trees():
    ps, st = setup(0, nn.Dense(3, 4))
    assert bf16(ComponentArray(ps)).weight.dtype == jnp.bfloat16
    f = bf16(StatefulLuxLayer(nn.Dense(3, 4), ps, st))
    assert f(jnp.ones((1, 3), jnp.bfloat16)).dtype == jnp.bfloat16


def test_conversion_is_differentiable():
    gradient = jax.grad(lambda x: f32(f16(x)) ** 2)(jnp.asarray(3.0, jnp.float32))
    assert gradient.dtype == jnp.float32 and gradient.item() == 6.0


def test_leaf_of_the_same_dtype_leaves_no_trace_in_the_program():
    assert not jax.make_jaxpr(f32)(jnp.ones(2, jnp.float32)).eqns
