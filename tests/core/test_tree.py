import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, StateStructureError, Static
from sciml_lux.core.internal import describe, first_difference, named_leaves, path_name

pytestmark = pytest.mark.any_precision
A = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (A, "float32[3,4]"),
        (jnp.zeros((), jnp.int32), "int32[]"),
        (jax.ShapeDtypeStruct((2,), jnp.bfloat16), "bfloat16[2]"),
        (Static(True), "Static(True)"),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_describe_says_a_leaf_in_a_word(leaf, text):
    assert describe(leaf) == text


def test_path_name_reads_as_typed_after_the_tree():
    tree = Record(layer_2=Record(weight=1), rest=({"a": 2},))
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    assert paths == ["layer_2.weight", "rest.0.a"]


def test_named_leaves_count_flags_and_none():
    tree = Record(b=1, a=Record(flag=Static(True), none=None))
    assert named_leaves(tree) == {"b": 1, "a.flag": Static(True), "a.none": None}
    assert list(named_leaves(tree)) == ["b", "a.flag", "a.none"]
    assert named_leaves(3) == {"": 3}


@pytest.mark.parametrize(
    ("expected", "got", "text"),
    [
        (Record(a=A), Record(a=A[:2]), "at `a`: expected float32[3,4], got float32[2,4]"),
        (Record(a=A), Record(a=A > 0), "at `a`: expected float32[3,4], got bool[3,4]"),
        (Record(a=A), Record(), "at `a`: expected float32[3,4], got nothing"),
        (Record(), Record(a=1), "at `a`: expected nothing, got 1"),
        (Record(a=None), Record(a=A), "at `a`: expected None, got float32[3,4]"),
        (Record(a=Static(1)), Record(a=Static(2)), "at `a`: expected Static(1), got Static(2)"),
        (
            Record(b={"c": A}, d=1),
            Record(b={"c": 1}, d=2),
            "at `b.c`: expected float32[3,4], got 1",
        ),
        (A, 2.0, "expected float32[3,4], got 2.0"),
    ],
)
def test_first_difference_says_where(expected, got, text):
    assert first_difference(expected, got) == text


@pytest.mark.parametrize("tree", [Record(a=A, b=None), {}, A, Record(flag=Static(True))])
def test_first_difference_of_equal_trees_is_none(tree):
    assert first_difference(tree, jax.tree.map(lambda leaf: leaf + 1, tree)) is None


def test_first_difference_looks_at_structure_last():
    text = first_difference(Record(a=A), {"a": A})
    assert text is not None and text.startswith(
        "expected the structure PyTreeDef(CustomNode(Record"
    )
    text = first_difference(Record(a=1, b=2), Record(b=2, a=1))
    assert text is not None and text.startswith("expected the structure")


def test_first_difference_by_another_description():
    assert first_difference(Record(a=1), Record(a=2), describe=lambda leaf: "any") is None
    text = first_difference(Record(a=1), Record(a=2), describe=lambda leaf: f"{leaf}!")
    assert text == "at `a`: expected 1!, got 2!"


def test_state_structure_error_is_a_value_error():
    assert issubclass(StateStructureError, ValueError)
