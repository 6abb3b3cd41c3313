import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import io, nn, training
from tests.conftest import X64, needs_x64

pytestmark = pytest.mark.any_precision
FLOATS = ["float16", "bfloat16", "float32"] + ["float64"] * X64


def tree():
    return lux.Record(
        **{name: jnp.asarray([1.5, -2.0], name) for name in FLOATS},
        scalar=jnp.asarray(3, jnp.int32),
        empty=jnp.zeros((0, 2), jnp.float32),
        complex=jnp.asarray([1 + 2j], jnp.complex64),
        flag=lux.Static(True),
        nothing=None,
        key=jax.random.key(7),
        nested={"b": (jnp.ones((2, 3), jnp.float32),)},
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "deep" / "down" / "tree.ckpt"
    io.save_checkpoint(path, {"note": "x", "numbers": [0.1]}, tree=tree())
    return path


def test_checkpoint_restores_every_bit_dtype_flag_and_key(file):
    checkpoint = io.load_checkpoint(file)
    found = checkpoint.restore(jax.tree.map(lambda a: a, tree()), "tree")
    assert lux.core.internal.first_difference(tree(), found) is None
    assert checkpoint.metadata == {"note": "x", "numbers": [0.1]}
    for name in [*FLOATS, "scalar", "complex"]:
        assert found[name].tobytes() == tree()[name].tobytes()
    assert jax.random.uniform(found.key) == jax.random.uniform(jax.random.key(7))


def test_checkpoint_is_replaced_whole(file):
    io.save_checkpoint(file, {}, ps={"w": jnp.ones(2, jnp.float32)})
    assert [path.name for path in file.parent.iterdir()] == ["tree.ckpt"]
    assert list(io.load_checkpoint(file).leaves) == ["ps.w"]


def test_checkpoint_survives_a_failed_write(file, monkeypatch):
    before = file.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        io.save_checkpoint(file, {}, ps={"w": jnp.ones(2, jnp.float32)})
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"float32": jnp.zeros(2, jnp.float16)},
            r"at `tree.float32`: expected float16\[2\], got float32",
        ),
        (
            {"float32": jnp.zeros(3, jnp.float32)},
            r"at `tree.float32`: expected float32\[3\], got float32",
        ),
        (
            {"more": jnp.zeros(1, jnp.float32)},
            r"at `tree.more`: expected float32\[1\], got noth",
        ),
        (
            {"flag": lux.Static(False)},
            r"at `tree.flag`: expected Static\(False\), got Static\(T",
        ),
    ],
)
def test_checkpoint_that_does_not_fit_names_the_first_path(file, change, text):
    with pytest.raises(io.CheckpointError, match=f"`tree` does not fit, {text}"):
        io.load_checkpoint(file).restore(tree() | change, "tree")


def test_checkpoint_of_another_format_is_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(io.CheckpointError, match="not a checkpoint of this format: expected"):
        io.load_checkpoint(path)


def test_checkpoint_cut_or_flipped_anywhere_is_refused(file):
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(data), 60):
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(rng.integers(8))
        for damaged in (bytes(flipped), data[:position], data + b"x"):
            file.write_bytes(damaged)
            with pytest.raises(io.CheckpointError, match="is damaged|not a checkpoint of this"):
                io.load_checkpoint(file)


def test_checkpoint_leaf_that_is_no_array_names_the_path(tmp_path):
    with pytest.raises(
        TypeError, match="`save_checkpoint` expects arrays of numbers, got 'x' at `ps.name`"
    ):
        io.save_checkpoint(tmp_path / "x.ckpt", {}, ps={"name": "x"})


def test_checkpoint_header_is_readable_json(file):
    _, size, _, rest = file.read_bytes().split(b"\n", 3)
    header = json.loads(rest[: int(size)])
    assert header["leaves"][0]["path"] == "tree.float16"
    assert set(header["leaves"][0]) == {"path", "dtype", "shape", "kind", "offset", "size"}


@needs_x64
def test_float64_checkpoint_with_x64_off_names_the_switch(file):
    with (
        jax.enable_x64(False),
        pytest.raises(TypeError, match="`tree.float64` is float64, but jax"),
    ):
        io.load_checkpoint(file)


def flat(first, dtype):
    entries = {"weight": jnp.arange(6, dtype=dtype).reshape(3, 2), "bias": jnp.ones(3, dtype)}
    return lux.ComponentArray({name: entries[name] for name in first})


def test_component_array_is_stored_by_its_names(tmp_path, dtype):
    array = flat(["weight", "bias"], dtype)
    io.save_checkpoint(tmp_path, {}, ps=array)
    checkpoint = io.load_checkpoint(tmp_path)
    assert list(checkpoint.leaves) == ["ps.weight", "ps.bias"]
    turned = flat(["bias", "weight"], dtype)
    for like in (array, jax.eval_shape(lambda: array), turned):
        found = checkpoint.restore(like, "ps")
        assert isinstance(found, lux.ComponentArray) and found.dtype == dtype
        assert list(found) == list(like)
        assert np.array_equal(found.weight, array.weight)
        assert np.array_equal(found.bias, array.bias)
    other = lux.ComponentArray({"weight": jnp.zeros((2, 3), dtype), "bias": jnp.zeros(3, dtype)})
    with pytest.raises(io.CheckpointError, match="`ps` does not fit, at `ps.weight`: expected"):
        checkpoint.restore(other, "ps")


def test_a_tree_that_is_not_there_lists_those_that_are(tmp_path):
    array = jnp.zeros(2, jnp.float32)
    training.save_checkpoint(tmp_path / "a.ckpt", {"rate": 1}, ps={"w": array}, st=array)
    checkpoint = training.load_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(
        training.CheckpointError, match="holds no tree `params`. It holds `ps`, `st`"
    ):
        checkpoint.restore({"w": array}, "params")
    assert repr(checkpoint) == f"Checkpoint({tmp_path / 'a.ckpt'}: `ps`, `st`; metadata ['rate'])"


def test_what_is_long_prints_short():
    model = nn.Chain(*(nn.Dense(1, 1) for _ in range(50)))
    tstate = training.TrainState(model, *lux.setup(0, model), optax.sgd(0.1))
    assert repr(tstate) == "TrainState(Chain(...), 100 parameters, step 0)"
    result = training.FitResult(tstate, np.zeros(500))
    assert repr(result) == f"FitResult({tstate!r}, 500 losses, 0 validations)"
