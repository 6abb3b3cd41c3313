import copy
import dataclasses
import math
import os
import pickle
import subprocess
import sys
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Static, StaticValue, nn
from sciml_lux.core.internal import argument_text

pytestmark = pytest.mark.any_precision


class Interval(StaticValue):
    low: float
    high: float = 1.0
    closed: bool = True


class NamedInterval(Interval):
    name: str = "interval"


class Doubled(StaticValue):
    value: int

    def __init__(self, half: int) -> None:
        object.__setattr__(self, "value", 2 * half)


class DoubledChild(Doubled):
    pass


class DoubledGrandchild(DoubledChild):
    extra: int = 0


class Limits(NamedTuple):
    low: float
    high: float


def test_equality_is_by_value():
    assert Interval(0.0) == Interval(0.0, 1.0)
    assert hash(Interval(0.0)) == hash(Interval(0.0, 1.0))
    assert Interval(0.0) != Interval(0.5)
    assert Interval(0.0) != 0.0


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (1.0, True),
        (0, False),
        (0.0, -0.0),
        ((1,), (1.0,)),
        ((0.0, (True,)), (0.0, (1,))),
        ((1, 2), Limits(1, 2)),
        (1.0, complex(1.0)),
        (complex(0.0, 0.0), complex(0.0, -0.0)),
        ("a", b"a"),
    ],
)
def test_values_of_another_type_or_sign_differ(left, right):
    assert Static(left) != Static(right)


@pytest.mark.parametrize(
    "value", [math.nan, (1.0, math.nan), math.inf, None, "a", 0.1, complex(0.0, math.nan)]
)
def test_same_values_are_equal_with_equal_hash(value):
    twin = pickle.loads(pickle.dumps(value))
    assert Static(value) == Static(twin)
    assert hash(Static(value)) == hash(Static(twin))


def test_another_class_with_the_same_fields_differs():
    assert Interval(0.0) != NamedInterval(0.0)
    assert NamedInterval(0.0) != Interval(0.0)


def test_hash_is_stable():
    value = Interval(0.0)
    assert hash(value) == hash(value) == hash(copy.deepcopy(value))
    assert {Interval(0.0): 1}[Interval(0.0, 1.0, True)] == 1


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([1.0], "list"),
        (np.ones(2), "ndarray"),
        (jnp.ones(2, jnp.float32), "ArrayImpl"),
        (([1],), "tuple"),
        ({"a": 1}, "dict"),
    ],
)
def test_unhashable_field_raises_naming_the_field(value, kind):
    with pytest.raises(
        TypeError, match=rf"`Interval.high` must be hashable, .* got {kind}. Use a tuple of Python"
    ):
        Interval(0.0, value)


def test_unhashable_field_of_a_subclass_names_the_subclass():
    with pytest.raises(TypeError, match=r"`NamedInterval.name` must be hashable"):
        NamedInterval(0.0, name=["a"])


@pytest.mark.parametrize(
    ("given", "kind"),
    [(np.float64(0.5), float), (np.float32(0.5), float), (np.int32(3), int), (np.bool_(1), bool)],
)
def test_numpy_scalar_is_stored_as_a_python_scalar(given, kind):
    stored = Static(given).value
    assert type(stored) is kind and stored == given
    assert type(Static((given, (given,))).value[1][0]) is kind


def test_numpy_scalar_in_a_namedtuple_is_stored_as_python_or_differs():
    stored = Static(Limits(np.float64(0.0), 1.0))
    assert type(stored.value.low) is float or stored != Static(Limits(0.0, 1.0))


def test_fields_cannot_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'low'"):
        Interval(0.0).low = 1.0


def test_replace_of_dataclasses_works():
    assert dataclasses.replace(Interval(0.0), high=3.0) == Interval(0.0, 3.0)


@pytest.mark.parametrize("value", [Interval(0.5), NamedInterval(0.0, name="x"), Static((1, "a"))])
def test_pickle_and_copies_are_equal(value):
    hash(value)
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
        assert twin == value and hash(twin) == hash(value)


def test_pickle_leaves_the_hash_of_this_process_behind():
    model = nn.Dense(2, 3, nn.tanh)
    hash(model)
    code = (
        "import pickle, sys; from sciml_lux import nn;"
        "model = pickle.loads(sys.stdin.buffer.read()); twin = nn.Dense(2, 3, nn.tanh);"
        "assert model == twin and hash(model) == hash(twin)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, input=pickle.dumps(model), env=environment, check=True, timeout=120)


def test_subclass_of_subclass_has_all_fields():
    value = NamedInterval(0.0, 2.0, name="x")
    assert (value.low, value.high, value.closed, value.name) == (0.0, 2.0, True, "x")
    assert value != NamedInterval(0.0, 2.0, name="y")


def test_custom_init_is_inherited():
    assert Doubled(2).value == 4
    assert DoubledChild(2).value == 4
    assert DoubledChild(2) == DoubledChild(2) != Doubled(2)


def test_custom_init_ends_where_a_subclass_adds_fields():
    value = DoubledGrandchild(3, 4)
    assert (value.value, value.extra) == (3, 4)


def test_custom_init_survives_a_class_variable():
    class Child(Doubled):
        unit: ClassVar[str] = "m"

    assert Child(2).value == 4


def test_custom_init_fields_are_checked():
    class Holds(StaticValue):
        value: tuple

        def __init__(self, *values) -> None:
            object.__setattr__(self, "value", list(values))

    with pytest.raises(TypeError, match=r"`Holds.value` must be hashable"):
        Holds(1, 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Interval(0.5), "Interval(0.5)"),
        (Interval(0.5, 2.0), "Interval(0.5, 2.0)"),
        (Interval(0.5, 2.0, False), "Interval(0.5, 2.0, False)"),
        (Interval(0.5, closed=False), "Interval(0.5, closed=False)"),
        (Interval(0.5, 1), "Interval(0.5, 1)"),
        (NamedInterval(0.0, closed=False, name="x"), "NamedInterval(0.0, closed=False, name='x')"),
        (nn.Dense(2, 3), "Dense(2, 3)"),
        (nn.Dense(2, 3, nn.tanh, use_bias=False), "Dense(2, 3, tanh, use_bias=False)"),
        (nn.Dense(2, 3, use_bias=False), "Dense(2, 3, use_bias=False)"),
        (Static(Interval(0.5)), "Static(Interval(0.5))"),
    ],
)
def test_repr_is_what_one_would_type(value, text):
    assert repr(value) == text


def test_repr_leaves_out_fields_that_cannot_be_typed():
    class Cached(StaticValue):
        low: float
        width: float = dataclasses.field(init=False, default=0.0)

        def __post_init__(self) -> None:
            object.__setattr__(self, "width", 1.0 - self.low)

    assert repr(Cached(0.25)) == "Cached(0.25)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), "()"),
        ((1,), "(1,)"),
        ((1, "a"), "(1, 'a')"),
        ((("a", 1), ("b", (2,))), "{'a': 1, 'b': (2,)}"),
        (Limits(0.0, 1.0), "Limits(low=0.0, high=1.0)"),
        (math.sqrt, "sqrt"),
        (int, "int"),
        (None, "None"),
    ],
)
def test_typed_writes_a_value_as_one_would(value, text):
    assert argument_text(value) == text


def test_static_value_has_no_leaves_and_is_structure():
    assert jax.tree.leaves(Interval(0.0)) == []
    assert jax.tree.structure(Interval(0.0)) == jax.tree.structure(Interval(0.0, 1.0))
    assert jax.tree.structure(Interval(0.0)) != jax.tree.structure(Interval(-0.0))


def test_static_value_crosses_jit_and_equal_ones_share_a_trace():
    traces = []

    @jax.jit
    def width(interval, x):
        traces.append(interval)
        return x * (interval.high - interval.low)

    x = jnp.ones(2, jnp.float32)
    np.testing.assert_array_equal(width(Interval(0.5), x), [0.5, 0.5])
    width(Interval(0.5, 1.0), x)
    assert len(traces) == 1
    np.testing.assert_array_equal(width(Interval(0.0, 3.0), x), [3.0, 3.0])
    assert len(traces) == 2


def test_static_value_comes_out_of_jit():
    assert jax.jit(lambda value: value)(Interval(0.5)) == Interval(0.5)


def test_static_is_true_where_its_value_is():
    assert Static(True) and Static(1) and not Static(False) and not Static(())


def test_static_flag_decides_the_program_under_jit():
    traces = []

    @jax.jit
    def step(st, x):
        traces.append(st["training"])
        return 2 * x if st["training"] else x

    x = jnp.ones((), jnp.float32)
    assert step({"training": Static(True)}, x).item() == 2.0
    assert step({"training": Static(False)}, x).item() == 1.0
    step({"training": Static(True)}, x)
    assert len(traces) == 2
