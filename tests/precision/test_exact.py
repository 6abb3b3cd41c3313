import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, losses, nn, ops, setup
from sciml_lux.precision.internal import (
    require_exact_dtype,
    require_exact_floats,
    require_exact_numbers,
    x64_enabled,
)
from tests.conftest import X64, needs_x64


def test_x64_enabled_is_the_switch():
    assert x64_enabled() is X64


@pytest.mark.parametrize("on", [True, False])
def test_x64_enabled_follows_the_context(on):
    with jax.enable_x64(on):
        assert x64_enabled() is on
    assert x64_enabled() is X64


@pytest.mark.parametrize(
    "dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64, jnp.int32]
)
def test_narrow_dtypes_never_need_x64(dtype):
    with jax.enable_x64(False):
        require_exact_dtype(dtype, "`x`")


@pytest.mark.parametrize(
    ("dtype", "name", "narrow"),
    [
        (np.float64, "float64", "float32"),
        ("float64", "float64", "float32"),
        (float, "float64", "float32"),
        (np.dtype("complex128"), "complex128", "complex64"),
    ],
)
def test_wide_dtype_with_x64_off_raises_naming_the_switch(dtype, name, narrow):
    text = (
        rf"^`x` is {name}, but jax_enable_x64 is off and JAX would cut it to {narrow}. Call "
        rf"jax.config.update\('jax_enable_x64', True\) before .* or convert to {narrow} yourself"
    )
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        require_exact_dtype(dtype, "`x`")
    with jax.enable_x64(True):
        require_exact_dtype(dtype, "`x`")


@pytest.mark.parametrize(
    ("tree", "where"),
    [
        (np.ones(2), "`x`"),
        (np.float64(1.0), "`x`"),
        ({"a": np.ones(2, np.float32), "b": np.ones(2)}, r"`x`\['b'\]"),
        (Record(layer_1=Record(w=np.ones(2, np.complex128))), r"`x`\['layer_1'\]\['w'\]"),
        ((1.0, np.ones(())), r"`x`\[1\]"),
    ],
)
def test_wide_numpy_leaf_with_x64_off_raises_naming_the_path(tree, where):
    with jax.enable_x64(False), pytest.raises(TypeError, match=rf"^{where}, a NumPy array, is "):
        require_exact_floats(tree, "`x`")
    with jax.enable_x64(True):
        require_exact_floats(tree, "`x`")


@pytest.mark.parametrize(
    "tree", [None, (), 1.0, np.ones(2, np.float32), np.arange(3), {"a": True, "b": np.float16(1)}]
)
def test_narrow_leaves_with_x64_off_pass(tree):
    with jax.enable_x64(False):
        require_exact_floats(tree, "`x`")
        require_exact_floats(jnp.ones(2, jnp.float32), "`x`")


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (
            "int64",
            "is int64, but jax_enable_x64 is off and JAX would cut it to int32. Call .*",
        ),
        ("uint64", "is uint64, but jax_enable_x64 is off and JAX would cut it to uint32"),
        ("U1", "is <U1, which JAX does not have. Convert it to numbers"),
        (">i4", r"is >i4, another byte order. Convert it: x.astype\('int32'\)"),
        (np.longdouble, r"is float\d+, a long double. Convert it: x.astype\('float64'\)"),
    ],
)
def test_dtype_that_jax_does_not_have_or_would_cut_raises(dtype, text):
    with jax.enable_x64(False), pytest.raises(TypeError, match=f"^`x` {text}"):
        require_exact_dtype(dtype, "`x`")


def test_dtypes_that_jax_has_pass():
    key = jax.random.key(0)
    for on in (True, False):
        with jax.enable_x64(on):
            for dtype in ("bool", "int32", jnp.bfloat16, jnp.float8_e4m3fn, key.dtype):
                require_exact_dtype(dtype, "`x`")


def test_integers_are_asked_for_their_value_where_they_are_numbers_only():
    long = {"n": np.asarray([2**40])}
    with jax.enable_x64(False):
        require_exact_floats(long, "`x`")
        require_exact_numbers({"n": np.arange(3)}, "`x`")
        text = r"^`x`\['n'\] has int64 numbers that int32 cannot hold, but jax_enable_x64 is off"
        with pytest.raises(TypeError, match=text):
            require_exact_numbers(long, "`x`")
    with jax.enable_x64(True):
        require_exact_numbers(long, "`x`")


def test_context_decides_for_setup_and_calls():
    model = nn.Dense(2, 1)
    with jax.enable_x64(True):
        ps, st = setup(0, model, jnp.float64)
        y, _ = model(np.ones((1, 2)), ps, st)
        assert ps.weight.dtype == y.dtype == jnp.float64
    with jax.enable_x64(False):
        with pytest.raises(TypeError, match="`setup`: `dtype` is float64"):
            setup(0, model, jnp.float64)
        with pytest.raises(TypeError, match="`x`, a NumPy array, is float64"):
            model(np.ones((1, 2)), ps, st)


def masked():
    return np.ma.masked_array(np.ones(2, np.float32), [True, False])


UNKNOWN = {
    "masked": (masked(), r"a masked array, whose mask .* Fill it: x.filled\(value\)"),
    "byte order": (np.ones(2, ">f4"), r"an array of >f4, another byte order. .*'float32'"),
    "long double": (np.ones(2, np.longdouble), r"an array of float\d+, a long.*'float64'"),
    "complex long double": (
        np.ones(2, np.clongdouble),
        r"an array of complex\d+, a long.*'complex128'",
    ),
    "objects": (np.asarray([1.0, None]), "an array of object, which JAX does not have"),
    "text": (np.asarray(["a"]), "an array of <U1, which JAX does not have"),
    "dates": (np.asarray(["2020-01-01"], "M8[D]"), r"an array of datetime64\[D\], which JAX"),
    "fields": (np.zeros(2, [("a", "f4")]), r"an array of .*, which JAX does not have"),
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("on", [True, False])
def test_numpy_arrays_that_jax_has_not_are_refused_by_name(name, on):
    array, text = UNKNOWN[name]
    st = Record()
    with jax.enable_x64(on):
        with pytest.raises(TypeError, match=rf"^`data`\['a'\] is {text}"):
            require_exact_floats({"a": array, "b": np.ones(2, np.float32)}, "`data`")
        with pytest.raises(TypeError, match=f"^`x` is {text}"):
            nn.Dense(2, 1)(array, setup(0, nn.Dense(2, 1))[0], st)
        for call in (ops.relu, ops.softmax, lambda x: losses.MSELoss()(x, x)):
            with pytest.raises(TypeError, match=text):
                call(array)


def test_gradients_of_integers_and_halves_of_numpy_pass():

    require_exact_floats([np.zeros(2, jax.dtypes.float0), np.ones(2, jnp.bfloat16)], "`x`")


@needs_x64
def test_float64_arrays_of_jax_with_x64_off_are_refused():
    wide = {"a": jnp.ones(2, jnp.float64)}
    model = nn.Dense(2, 1)
    ps, st = setup(0, model, jnp.float64)
    with jax.enable_x64(False):
        with pytest.raises(TypeError, match=r"^`x`\['a'\], a JAX array, is float64, but jax_en"):
            require_exact_floats(wide, "`x`")
        with pytest.raises(TypeError, match="^`relu`: `x`, a JAX array, is float64"):
            ops.relu(wide["a"])
        with pytest.raises(TypeError, match=r"^`ps`\['weight'\], a JAX array, is float64"):
            model(jnp.ones((1, 2), jnp.float32), ps, st)
        with pytest.raises(TypeError, match="a JAX array, is float64"):
            losses.MSELoss()(wide["a"], wide["a"])
        narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), ps)
        assert model(jnp.ones((1, 2), jnp.float32), narrow, st)[0].dtype == jnp.float32
