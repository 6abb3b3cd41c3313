import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, losses, nn, ops, setup
from sciml_lux.precision import (
    require_x64,
    require_x64_for,
    require_x64_of,
    resolve_dtype,
    x64_enabled,
)
from tests.conftest import X64, needs_x32, needs_x64


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
        require_x64(dtype, "`x`")


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
        require_x64(dtype, "`x`")
    with jax.enable_x64(True):
        require_x64(dtype, "`x`")


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
        require_x64_for(tree, "`x`")
    with jax.enable_x64(True):
        require_x64_for(tree, "`x`")


@pytest.mark.parametrize(
    "tree", [None, (), 1.0, np.ones(2, np.float32), np.arange(3), {"a": True, "b": np.float16(1)}]
)
def test_narrow_leaves_with_x64_off_pass(tree):
    with jax.enable_x64(False):
        require_x64_for(tree, "`x`")
        require_x64_for(jnp.ones(2, jnp.float32), "`x`")


@require_x64_of("x", "more")
def scaled(x, factor=2.0, *more):
    """x times a number."""
    return factor * x


def test_decorated_function_answers_wide_data_and_takes_wide_settings():
    assert (scaled.__name__, scaled.__doc__) == ("scaled", "x times a number.")
    narrow, wide = np.ones(2, np.float32), np.ones(2)
    calls = {
        "`x`": lambda: scaled(wide),
        "`x`, a": lambda: scaled(factor=1.0, x=wide),
        r"`more`\[1\]": lambda: scaled(narrow, 1.0, narrow, wide),
    }
    for where, call in calls.items():
        text = f"^`scaled`: {where}.* NumPy array, is float64, but jax_enable_x64 is off"
        with jax.enable_x64(False), pytest.raises(TypeError, match=text):
            call()
    with jax.enable_x64(False):
        np.testing.assert_array_equal(scaled(narrow, np.float64(3.0)), [3.0, 3.0])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(scaled(wide), [2.0, 2.0])


def test_decorated_function_has_its_data_looked_at_wherever_it_is_given():
    @require_x64_of("x")
    def last(axis, *, x=None):
        return x

    with jax.enable_x64(True):
        wide = jnp.ones(2, jnp.float64)
    with jax.enable_x64(False):
        assert last(np.float64(1.0)) is None
        for x in (wide, np.ones(2), [np.ones(2)]):
            with pytest.raises(TypeError, match=r"^`last`: `x`.* is float64, but jax_enable_x64"):
                last(0, x=x)
    for on in (True, False):
        masked = np.ma.masked_array(np.ones(2, np.float32))
        with jax.enable_x64(on), pytest.raises(TypeError, match="^`last`: `x` is a masked array"):
            last(0, x=masked)


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
    "objects": (np.asarray([1.0, None]), "an array of object, which are not numbers"),
    "text": (np.asarray(["a"]), "an array of <U1, which are not numbers"),
    "dates": (np.asarray(["2020-01-01"], "M8[D]"), r"an array of datetime64\[D\], which are not"),
    "fields": (np.zeros(2, [("a", "f4")]), r"an array of .*, which are not numbers"),
}


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("on", [True, False])
def test_numpy_arrays_that_jax_has_not_are_refused_by_name(name, on):
    array, text = UNKNOWN[name]
    st = Record()
    with jax.enable_x64(on):
        with pytest.raises(TypeError, match=rf"^`data`\['a'\] is {text}"):
            require_x64_for({"a": array, "b": np.ones(2, np.float32)}, "`data`")
        with pytest.raises(TypeError, match=f"^`scaled`: `x` is {text}"):
            scaled(array)
        with pytest.raises(TypeError, match=f"^`x` is {text}"):
            nn.Dense(2, 1)(array, setup(0, nn.Dense(2, 1))[0], st)
        for call in (ops.relu, ops.softmax, lambda x: losses.MSELoss()(x, x)):
            with pytest.raises(TypeError, match=text):
                call(array)


def test_gradients_of_integers_and_halves_of_numpy_pass():

    require_x64_for([np.zeros(2, jax.dtypes.float0), np.ones(2, jnp.bfloat16)], "`x`")


@needs_x64
def test_float64_arrays_of_jax_with_x64_off_are_refused():
    wide = {"a": jnp.ones(2, jnp.float64)}
    model = nn.Dense(2, 1)
    ps, st = setup(0, model, jnp.float64)
    with jax.enable_x64(False):
        with pytest.raises(TypeError, match=r"^`x`\['a'\], a JAX array, is float64, but jax_en"):
            require_x64_for(wide, "`x`")
        with pytest.raises(TypeError, match="^`relu`: `x`, a JAX array, is float64"):
            ops.relu(wide["a"])
        with pytest.raises(TypeError, match=r"^`ps`\['weight'\], a JAX array, is float64"):
            model(jnp.ones((1, 2), jnp.float32), ps, st)
        with pytest.raises(TypeError, match="a JAX array, is float64"):
            losses.MSELoss()(wide["a"], wide["a"])
        narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), ps)
        assert model(jnp.ones((1, 2), jnp.float32), narrow, st)[0].dtype == jnp.float32
