"""Forged checkpoints with the right checksums: refused, and messages quote a line at most."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import io
from tests.io.test_checkpoint_fuzz import MAGIC, joined, parts

pytestmark = pytest.mark.any_precision
ODD = "\x1b[2J\r\n\u202e\ud800" + 5000 * "a"
ONE, TWO = jnp.ones(2, jnp.float32), jnp.full(2, 2, jnp.float32)


def saved(tmp_path, **trees):
    path = tmp_path / "x.ckpt"
    io.save_checkpoint(path, {}, **trees)
    return path


def forge(path, change, body=None):
    """Change the header (and bytes) of a file, and make its checksums right."""
    header, old = parts(path.read_bytes())
    change(header["leaves"])
    body = old if body is None else body
    header["sha256"] = hashlib.sha256(body).hexdigest()
    path.write_bytes(joined(header, body))


def assert_one_line(error):
    assert str(error.value).isprintable() and len(str(error.value)) < 900, error.value


def test_flag_whose_text_is_an_array_is_not_an_array(tmp_path):
    path = saved(tmp_path, ps={"w": ONE})
    flag = {"path": "ps.w", "flag": "float32[2]", "offset": 0, "size": 0}
    forge(path, lambda leaves: leaves.__setitem__(0, flag), b"")
    text = r"at `ps.w`: expected float32\[2\], got the flag float32\[2\]"
    with pytest.raises(io.CheckpointError, match=text):
        io.load_checkpoint(path).restore({"w": ONE}, "ps")


def test_array_is_not_a_flag(tmp_path):
    path = saved(tmp_path, ps={"w": ONE})
    with pytest.raises(io.CheckpointError, match=r"expected Static\(True\), got float32\[2\]"):
        io.load_checkpoint(path).restore({"w": lux.Static(True)}, "ps")


@pytest.mark.parametrize(
    ("tree", "like", "text"),
    [
        (ONE, {"": TWO}, "at `w.`: expected float32"),
        ({"": ONE}, TWO, "at `w`: expected float32"),
        ({"": {"": ONE}}, {"": TWO}, "at `w.`: expected"),
        ({"a": ONE}, {"a": {"": TWO}}, "at `w.a.`: expected"),
    ],
)
def test_names_that_end_in_a_dot_are_names_of_their_own(tmp_path, tree, like, text):
    checkpoint = io.load_checkpoint(saved(tmp_path, w=tree))
    with pytest.raises(io.CheckpointError, match=text):
        checkpoint.restore(like, "w")
    assert jax.tree.leaves(checkpoint.restore(tree, "w"))[0].tolist() == [1, 1]


def test_leaf_beside_one_with_a_dot_is_not_taken_for_it(tmp_path):
    path = saved(tmp_path, ps={"w": ONE, "x": TWO})
    forge(path, lambda leaves: leaves[1].update(path="ps.w."))
    with pytest.raises(io.CheckpointError, match=r"at `ps.w.`: expected nothing, got float32"):
        io.load_checkpoint(path).restore({"w": ONE}, "ps")


@pytest.mark.parametrize(
    ("dtype", "byte"),
    [("bool", 2), ("bool", 255), ("int4", 16), ("int4", 0xF8), ("uint4", 16), ("uint4", 255)],
)
def test_bytes_that_are_not_numbers_of_the_dtype_are_refused(tmp_path, dtype, byte):
    path = saved(tmp_path, ps={"w": np.ones(3, dtype)})
    forge(path, lambda leaves: None, bytes([0, byte, 1]))
    with pytest.raises(io.CheckpointError, match=f"`ps.w` is {dtype} and has a byte {byte}"):
        io.load_checkpoint(path)


@pytest.mark.parametrize("dtype", ["bool", "int4", "uint4"])
def test_odd_bytes_of_numpy_are_saved_as_the_numbers_that_they_are(tmp_path, dtype):
    array = np.asarray([0, 0x12, 0xF1], np.uint8).view(dtype)
    stored = io.load_checkpoint(saved(tmp_path, ps={"w": array})).leaves["ps.w"]
    assert stored.tolist() == array.tolist()
    values = {"bool": [0, 1], "int4": list(range(-8, 8)), "uint4": list(range(16))}[dtype]
    stored = io.load_checkpoint(saved(tmp_path, ps={"w": np.asarray(values, dtype)}))
    assert stored.leaves["ps.w"].astype(jnp.int32).tolist() == values


def test_byte_of_a_bool_in_safetensors_is_checked(tmp_path):
    path = tmp_path / "x.safetensors"
    io.save_safetensors(path, {"w": np.ones(2, bool)})
    path.write_bytes(path.read_bytes()[:-1] + b"\2")
    with pytest.raises(io.CheckpointError, match="`w` is bool and has a byte 2"):
        io.load_safetensors(path, {"w": np.ones(2, bool)})


def safetensors(path, name, dtype, shape, size=0):
    head = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(size))


@pytest.mark.parametrize("shape", [[0, 2**62], [0] * 65, [2**63, 0], [0, 2**40, 2**23]])
def test_impossible_shape_of_safetensors_is_refused(tmp_path, shape):
    path = tmp_path / "x.safetensors"
    safetensors(path, "w", "F32", shape)
    text = "x.safetensors.*(`w` cannot have the shape|is not a whole safetensors file)"
    with pytest.raises(io.CheckpointError, match=text):
        io.load_safetensors(path, {"w": jnp.zeros((0, 2), jnp.float32)})


ODD_LEAVES = {
    "path": {"path": ODD},
    "twice": {"path": ODD, "offset": 1},
    "dtype": {"dtype": ODD},
    "kind": {"kind": f"key:{ODD}"},
    "shape": {"shape": [10**3000]},
    "offset": {"offset": 10**3000},
    "size": {"shape": [2**62] * 60, "size": 4 * 2 ** (62 * 60)},
}


@pytest.mark.parametrize("odd", list(ODD_LEAVES))
def test_messages_quote_a_line_of_a_checkpoint_at_most(tmp_path, odd):
    path = saved(tmp_path, ps={"w": ONE})
    forge(path, lambda leaves: leaves[0].update(ODD_LEAVES[odd]))
    with pytest.raises(io.CheckpointError) as error:
        io.load_checkpoint(path).restore({"w": ONE}, "ps")
    assert_one_line(error)


def test_messages_quote_a_line_of_a_path_and_of_a_flag_at_most(tmp_path):
    path = saved(tmp_path, ps={"w": lux.Static(True)})
    for change in ({"flag": ODD}, {"path": f"ps.{ODD}"}):
        forge(path, lambda leaves, change=change: leaves[0].update(change))
        with pytest.raises(io.CheckpointError, match=r"expected Static\(True\), got") as error:
            io.load_checkpoint(path).restore({"w": lux.Static(True)}, "ps")
        assert_one_line(error)


@pytest.mark.parametrize("dtype", ["F32", "F8_E8M0", ODD])
def test_messages_quote_a_line_of_safetensors_at_most(tmp_path, dtype):
    path = tmp_path / "x.safetensors"
    safetensors(path, ODD.replace("\ud800", ""), dtype, [2], 2 if dtype == "F8_E8M0" else 8)
    with pytest.raises(io.CheckpointError) as error:
        io.load_safetensors(path, {"w": ONE})
    assert_one_line(error)


def test_first_line_of_another_file_is_quoted_no_further(tmp_path):
    path = tmp_path / "x.ckpt"
    path.write_bytes(MAGIC[:5] + b"\x1b" * 10_000)
    with pytest.raises(io.CheckpointError) as error:
        io.load_checkpoint(path)
    assert_one_line(error)
