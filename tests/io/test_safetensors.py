import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml_lux as lux
from sciml_lux import io, nn
from tests.conftest import X64, needs_x64
from tests.training.models import assert_same_bits

pytestmark = pytest.mark.any_precision
DTYPES = ["bool", "int8", "int32", "uint32", "float16", "bfloat16", "float32", "complex64"]
DTYPES += ["float8_e4m3fn", "float8_e5m2"] + ["int64", "float64"] * X64


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deep" / "weights.safetensors"


def like():
    return lux.Record(weight=jnp.ones((1, 2), jnp.float32), bias=jnp.zeros(1, jnp.float32))


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_comes_back_to_the_bit(file, name):
    ps = {"a": jnp.asarray([[0, 1, 1]], name), "scalar": jnp.asarray(1, name)}
    ps["empty"] = jnp.zeros((0, 3), name)
    io.save_safetensors(file, ps)
    assert_same_bits(io.load_safetensors(file, ps), ps)


def test_names_are_paths_and_shapes_are_ours(file, dtype):
    model = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1))
    ps, _ = lux.setup(jax.random.key(0), model, dtype=dtype)
    io.save_safetensors(file, ps)
    read = safetensors.numpy.load_file(file)
    assert {name: array.shape for name, array in read.items()} == {
        "layer_1.weight": (3, 2),
        "layer_1.bias": (3,),
        "layer_2.weight": (1, 3),
        "layer_2.bias": (1,),
    }
    np.testing.assert_array_equal(read["layer_1.weight"], ps.layer_1.weight)
    found = io.load_safetensors(file, lux.core.parameter_structure(model, dtype))
    assert_same_bits(found, ps)


def test_file_of_another_library_is_read(file):
    file.parent.mkdir()
    arrays = {"bias": np.zeros(1, np.float32), "weight": np.asarray([[1, 2]], np.float32)}
    safetensors.numpy.save_file(arrays, file, metadata={"format": "pt"})
    found = io.load_safetensors(file, like())
    assert isinstance(found, lux.Record) and found.weight.tolist() == [[1, 2]]


def test_array_that_is_not_contiguous_is_saved_as_it_looks(file):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    io.save_safetensors(file, {"a": array})
    assert io.load_safetensors(file, {"a": array})["a"].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bias": jnp.zeros(2)}, r"at `bias`: expected float\d\d\[2\], got float32\[1\]"),
        ({"bias": jnp.zeros(1, jnp.int32)}, r"at `bias`: expected int32\[1\], got float32\[1\]"),
        ({"more": jnp.zeros(1)}, r"at `more`: expected float\d\d\[1\], got nothing"),
        ({"flag": lux.Static(True)}, r"at `flag`: expected Static\(True\), got nothing"),
    ],
)
def test_mismatch_names_the_first_path(file, change, text):
    io.save_safetensors(file, like())
    with pytest.raises(io.CheckpointError, match=f"weights.safetensors does not fit, {text}"):
        io.load_safetensors(file, like() | change)


def test_leaf_too_many_is_named(file):
    io.save_safetensors(file, like() | {"more": jnp.zeros(2, jnp.float32)})
    with pytest.raises(io.CheckpointError, match=r"`more`: expected nothing, got float32\[2"):
        io.load_safetensors(file, like())


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (lux.Static(True), r"Static\(True\)"),
        (None, "None"),
        (0.5, "0.5"),
        (jax.random.key(0), r"key<fry>\[\]"),
        (np.zeros(2, np.complex128), r"complex128\[2\]"),
        (np.asarray([{}]), r"object\[1\]"),
        (np.zeros(1, "int4"), r"int4\[1\]"),
    ],
)
def test_leaf_that_the_format_lacks_is_refused(file, leaf, text):
    with pytest.raises(TypeError, match=rf"`save_safetensors` cannot hold {text} at `x`: the form"):
        io.save_safetensors(file, {"w": jnp.zeros(1), "x": leaf})
    assert not file.exists()


def test_name_that_the_format_keeps_is_refused(file):
    with pytest.raises(ValueError, match="the format reserves the name `__metadata__`"):
        io.save_safetensors(file, {"__metadata__": jnp.zeros(1)})


def test_names_that_would_fall_together_are_refused(file):
    with pytest.raises(ValueError, match="two leaves of a tree have the same path name"):
        io.save_safetensors(file, {"a.b": jnp.zeros(1), "a": {"b": jnp.zeros(1)}})


@needs_x64
@pytest.mark.parametrize("name", ["float64", "int64"])
def test_64_bits_with_x64_off_name_the_switch(file, name):
    io.save_safetensors(file, {"w": jnp.ones(2, name)})
    text = f"`w` is {name}, but jax_enable_x64 is off and JAX would cut it"
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        io.load_safetensors(file, {"w": jnp.ones(2, jnp.float32)})


def test_dtype_that_we_lack_is_refused(file):
    head = json.dumps({"w": {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}}).encode()
    file.parent.mkdir()
    file.write_bytes(len(head).to_bytes(8, "little") + head + b"\1\2")
    with pytest.raises(io.CheckpointError, match="`w` is of the dtype F8_E8M0, which `load_"):
        io.load_safetensors(file, {"w": jnp.zeros(2)})


def test_missing_package_names_the_remedy(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    text = r"_safetensors` needs the package safetensors. Install it: pip install 'sciml_lux\[io\]'"
    with pytest.raises(ModuleNotFoundError, match=f"`save{text}"):
        io.save_safetensors(file, like())
    with pytest.raises(ModuleNotFoundError, match=f"`load{text}"):
        io.load_safetensors(file, like())


def test_failed_write_leaves_the_old_file(file, monkeypatch):
    io.save_safetensors(file, like())

    def fail(descriptor):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            io.save_safetensors(file, {"w": jnp.zeros(1)})
    assert_same_bits(io.load_safetensors(file, like()), like())
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.data())
def test_file_that_is_cut_or_no_safetensors_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.unlink(missing_ok=True)
    io.save_safetensors(path, like())
    whole = path.read_bytes()
    cut = st.integers(0, len(whole) - 1).map(lambda end: whole[:end])
    more = st.binary(min_size=1, max_size=9).map(lambda end: whole + end)
    path.write_bytes(data.draw(st.one_of(cut, more, st.binary(max_size=200))))
    with pytest.raises(io.CheckpointError, match="cut.safetensors is not a whole safetensors f"):
        io.load_safetensors(path, like())
