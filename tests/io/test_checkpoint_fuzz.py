"""Damaged and forged checkpoints: all are refused, none crashes, none gives a wrong number."""

import copy
import hashlib
import json
import os
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sciml_lux as lux
from sciml_lux import io
from tests.conftest import X64, needs_x32, needs_x64

pytestmark = pytest.mark.any_precision
FUZZ = {"derandomize": True, "deadline": None, "database": None}
FLOAT = jnp.dtype("float64" if X64 else "float32")
MAGIC = b"sciml_lux checkpoint 1\n"


def tree():
    return lux.Record(
        weight=jnp.asarray([[1.5, -2.0, 3.25]], FLOAT),
        empty=jnp.zeros((0, 2), jnp.float32),
        half=jnp.asarray([0.5], jnp.bfloat16),
        count=jnp.asarray(3, jnp.int32),
        training=lux.Static(True),
        rng=jax.random.key(7),
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "tree.ckpt"
    io.save_checkpoint(path, {"note": "x", "losses": [0.1]}, tree=tree())
    return path


@pytest.fixture(scope="module")
def good(file):
    return file.read_bytes()


def parts(data):
    """Header, as JSON gives it, and the bytes of the leaves."""
    size, _, rest = data.removeprefix(MAGIC).split(b"\n", 2)
    return json.loads(rest[: int(size)]), rest[int(size) :]


def joined(head, body, size=None):
    """A file whose header, right or wrong, has the right checksum."""
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    size = b"%d" % len(head) if size is None else size
    return MAGIC + size + b"\n" + hashlib.sha256(head).hexdigest().encode() + b"\n" + head + body


def refused(
    file, data, match="is damaged: .* Use an earlier one|is not a checkpoint of this format"
):
    file.write_bytes(data)
    with pytest.raises(io.CheckpointError, match=match) as caught:
        io.load_checkpoint(file)
    assert str(file) in str(caught.value)


@st.composite
def damages(draw, data):
    """A file with some bytes changed, lost, doubled, put in or moved, or cut off."""
    # Places close to the seams of the format are as likely as any other.
    seams = [0, 1, len(MAGIC), len(MAGIC) + 4, len(MAGIC) + 70, len(data) - 1]
    place = st.one_of(st.integers(0, len(data) - 1), st.sampled_from(seams))
    start, length = draw(place), draw(st.integers(1, 40))
    piece, rest = data[start : start + length], data[start + length :]
    before = data[:start]
    return draw(
        st.sampled_from(
            [
                before,
                before + bytes([piece[0] ^ (1 << draw(st.integers(0, 7)))]) + piece[1:] + rest,
                before + rest,
                before + piece + piece + rest,
                before + draw(st.binary(min_size=1, max_size=40)) + piece + rest,
                before + bytes(len(piece)) + rest,
                before + rest + piece,
                data[start:],
            ]
        )
    )


@settings(max_examples=350, **FUZZ)
@given(st.data())
def test_damaged_checkpoint_is_refused(file, good, data):
    damaged = data.draw(damages(good))
    if damaged != good:
        refused(file, damaged)


NASTY = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, -(10**30), 1.5, 1e400]),
    st.sampled_from(["", "float31", "object", "O", "<U9", "V8", "float64", "float32", "int64"]),
    st.sampled_from(["key:", "key:threefry2x32", "key:rbg", "key:none", "tree.weight", "../x"]),
    st.sampled_from([[], [-1], [2**62], [0, 2**62], [1.0], [True], [0] * 100, [10**30] * 60]),
    st.sampled_from([[3, 1], [3], [[1]], {}, {"path": "tree.weight"}]),
    st.integers(),
    st.text(max_size=5),
)


@st.composite
def forgeries(draw, data):
    """A header with one entry or field replaced, removed, doubled or added, and its checksum."""
    header, body = copy.deepcopy(parts(data))
    leaves = header["leaves"]
    leaf = draw(st.integers(0, len(leaves) - 1))
    fields = st.sampled_from(["path", "dtype", "shape", "kind", "offset", "size", "flag", "more"])
    match draw(st.integers(0, 7)):
        case 0 | 1 | 2:
            leaves[leaf][draw(fields)] = draw(NASTY)
        case 3:
            leaves[leaf].pop(draw(fields), None)
        case 4:
            leaves.insert(draw(st.integers(0, len(leaves))), leaves[leaf])
        case 5:
            leaves[leaf] = draw(NASTY)
        case 6:
            header[draw(st.sampled_from(["leaves", "metadata", "sha256"]))] = draw(NASTY)
        case 7:
            leaves.pop(leaf)
    return joined(header, body)


@settings(max_examples=250, **FUZZ)
@given(st.data())
def test_forged_header_is_refused_or_gives_the_right_numbers(file, good, data):
    """A header that says something else of the same bytes, such as [3, 1] for [1, 3], may load;
    then it does not fit the tree. One that only adds to the metadata gives the same numbers."""
    file.write_bytes(data.draw(forgeries(good)))
    try:
        found = io.load_checkpoint(file).restore(tree(), "tree")
    except io.CheckpointError as error:
        assert str(file) in str(error)
    except TypeError as error:
        assert "jax_enable_x64" in str(error)
    else:
        for name in ("weight", "empty", "half", "count"):
            assert found[name].tobytes() == tree()[name].tobytes()
        assert jnp.all(jax.random.key_data(found.rng) == jax.random.key_data(tree().rng))


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"{", "its header is not JSON"),
        (b"\xff\xfe", "its header is not JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "its header is not JSON"),
        (b"9" * 10_000, "its header is not JSON"),
        (b"[]", "its header is not of this format"),
        (b"null", "its header is not of this format"),
        (b"{}", "its header is not of this format"),
        (b'{"leaves": [], "metadata": [], "sha256": ""}', "its header is not of this format"),
        (b'{"leaves": [], "metadata": {}, "sha256": ""}', r"expected 0 bytes of leaves, got \d+"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_header_that_is_none_is_refused(file, good, head, text):
    refused(file, joined(head, parts(good)[1]), f"is damaged: {text}")


@pytest.mark.parametrize("size", [b"-5", b"+5", b" 5", b"1_0", b"", b"9" * 22, b"9" * 5000, b"x"])
def test_header_length_that_is_none_is_refused(file, good, size):
    refused(file, joined(*parts(good), size), "is damaged: the length of its header does not fit")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"offset": 8}, r"`tree.weight` should be at 0, is said to be at 8"),
        ({"shape": [2, 3]}, "is not a leaf: {'path': 'tree.weight'"),
        ({"shape": [-1, -3]}, "is not a leaf: "),
        ({"size": True}, "is not a leaf: "),
        ({"dtype": "object"}, "is not a leaf: "),
        ({"path": "tree.empty"}, "has `tree.empty` twice"),
        ({"kind": "key:none"}, "`tree.weight` is not a random key of the kind 'key:none'"),
        ({"flag": "None"}, "is not a leaf: "),
    ],
)
def test_leaf_that_is_none_is_named(file, good, change, text):
    header, body = parts(good)
    header["leaves"][0] |= change
    refused(file, joined(header, body), text)


def test_shape_too_big_for_numpy_is_refused(file, good):
    header, body = parts(good)
    assert header["leaves"][1]["path"] == "tree.empty"
    header["leaves"][1]["shape"] = [0, 2**62]
    refused(file, joined(header, body), r"`tree.empty` cannot have the shape \[0, 46116860184273")


def test_no_claim_of_a_header_makes_it_read_or_allocate(file, good):
    header, body = parts(good)
    header["leaves"][0] |= {"shape": [2**35], "size": 2**35 * FLOAT.itemsize}
    for leaf in header["leaves"][1:]:
        leaf["offset"] += 2**35 * FLOAT.itemsize - 3 * FLOAT.itemsize
    tracemalloc.start()
    try:
        refused(file, joined(header, body), r"expected \d+ bytes of leaves, got \d+")
        file.write_bytes(good)
        os.truncate(file, 2**36)  # A hole: it takes no disk.
        with pytest.raises(io.CheckpointError, match=r"expected \d+ bytes of leaves, got"):
            io.load_checkpoint(file)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
        file.write_bytes(good)


@needs_x64
@pytest.mark.parametrize("name", ["int64", "uint64", "float64", "complex128"])
def test_64_bits_with_x64_off_name_the_switch(tmp_path, name):
    path = tmp_path / "x.ckpt"
    io.save_checkpoint(path, {}, ps={"w": jnp.full(2, 2**40, name)})
    text = f"`ps.w` is {name}, but jax_enable_x64 is off and JAX would cut it"
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        io.load_checkpoint(path)


@needs_x32
def test_numpy_integers_of_64_bits_with_x64_off_are_not_cut(tmp_path):
    io.save_checkpoint(tmp_path, {}, ps={"n": np.full(2, 2**40)})
    with pytest.raises(TypeError, match="`ps.n` is int64, but jax_enable_x64 is off and JAX would"):
        io.load_checkpoint(tmp_path)
