"""Equal values that are not the same: fields differ in type and sign at every depth."""

import dataclasses
import enum
import functools
import math
import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Layer, Static, StaticValue, initializers, nn

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]


@dataclasses.dataclass(frozen=True)
class Config:
    value: Any
    label: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Config


@dataclasses.dataclass(frozen=True, eq=False)
class ByIdentity:
    value: Any


class Pair(NamedTuple):
    first: Any
    second: Any


class Level(enum.IntEnum):
    ONE = 1


class OneAsFloat(float, enum.Enum):
    ONE = 1.0


class Rounded:
    """Equal as its own `==` says."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Rounded) and round(self.value) == round(other.value)

    def __hash__(self):
        return hash(round(self.value))


NUMBERS = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (1.0, complex(1.0)),
    (complex(1.0, 0.0), complex(1.0, -0.0)),
    (1, Level.ONE),
    (1.0, OneAsFloat.ONE),
]
HOLDERS = {
    "dataclass": Config,
    "dataclass in a dataclass": lambda value: Outer(Config(value)),
    "dataclass in a tuple": lambda value: ((Config(value),), "a"),
    "frozenset": lambda value: frozenset({value}),
    "frozenset in a dataclass": lambda value: Config(frozenset({(value,)})),
    "namedtuple": lambda value: Pair(value, 2),
    "namedtuple in a dataclass": lambda value: Config(Pair("a", value)),
    "value in a dataclass": lambda value: Config(Static(value)),
    "value in a frozenset": lambda value: frozenset({Static(value)}),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())
@pytest.mark.parametrize(("left", "right"), NUMBERS, ids=repr)
def test_numbers_of_another_type_or_sign_differ_at_every_depth(hold, left, right):
    assert Static(hold(left)) != Static(hold(right))
    assert Static(hold(left)) == Static(hold(left))
    assert hash(Static(hold(left))) == hash(Static(hold(left)))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.float32(1.0), 1.0),
        (np.float32(1.0), np.float64(1.0)),
        (np.float32(0.0), np.float32(-0.0)),
        (np.bool_(1), 1),
    ],
    ids=repr,
)
def test_numpy_scalars_in_objects_differ_by_dtype_and_sign(left, right):
    assert Static(Config(left)) != Static(Config(right))
    assert Static(frozenset({left})) != Static(frozenset({right}))


@pytest.mark.parametrize("nan", [np.float32("nan"), math.nan, float("nan")], ids=repr)
def test_nan_is_the_same_in_tuples_and_frozensets(nan):
    for value in (nan, (nan,), frozenset({nan}), Pair(nan, 1)):
        twin = pickle.loads(pickle.dumps(value))
        assert Static(value) == Static(twin)
        assert hash(Static(value)) == hash(Static(twin))


def test_fields_that_a_dataclass_does_not_compare_do_not_count():
    assert Static(Config(1, "a")) == Static(Config(1, "b"))


def test_dataclass_without_equality_is_compared_by_identity():
    one = ByIdentity(1)
    assert Static(one) == Static(one) != Static(ByIdentity(1))


def test_dataclass_with_an_equality_of_its_own_is_asked():
    @dataclasses.dataclass(frozen=True)
    class Finer:
        value: int
        hidden = 0

        def __eq__(self, other):
            return self.value == other.value and self.hidden == other.hidden

        def __hash__(self):
            return self.value

    one, other = Finer(1), Finer(1)
    object.__setattr__(other, "hidden", 1)
    assert Static(one) == Static(Finer(1)) != Static(other)


def test_object_with_an_equality_of_its_own_is_compared_by_it():
    assert Static(Rounded(1.0)) == Static(Rounded(1.2)) != Static(Rounded(2.0))


def test_partials_and_functions_are_compared_by_identity():
    function = functools.partial(max, 1)
    assert Static(function) == Static(function) != Static(functools.partial(max, 1))


def test_dataclass_with_an_unhashable_field_is_refused_by_name():
    class Holds(StaticValue):
        config: Config

    with pytest.raises(TypeError, match=r"`Holds.config` must be hashable, .* got Config"):
        Holds(Config([1]))


def test_compiled_program_is_not_shared_by_values_that_are_equal_alone():
    class Times(Layer):
        config: Config

        def __call__(self, x, ps, st):
            return x * self.config.value, st

    call = jax.jit(lambda model, x: model(x, {}, {})[0], static_argnums=0)
    x = jnp.ones(2, jnp.int32)
    assert call(Times(Config(1)), x).dtype == jnp.int32
    with jax.numpy_dtype_promotion("standard"):
        assert jnp.issubdtype(call(Times(Config(1.0)), x).dtype, jnp.floating)
    assert call._cache_size() == 2
    call(Times(Config(1, "another label")), x)
    assert call._cache_size() == 2


@pytest.mark.parametrize(
    ("init", "option", "left", "right"),
    [
        (initializers.glorot_uniform, "gain", 1, 1.0),
        (initializers.glorot_normal, "gain", 2, 2.0),
        (initializers.kaiming_uniform, "gain", 1, 1.0),
        (initializers.kaiming_normal, "gain", 2, 2.0),
        (initializers.orthogonal, "gain", 1, 1.0),
        (initializers.identity_init, "gain", 1, 1.0),
        (initializers.uniform, "bound", 1, 1.0),
        (initializers.normal, "mean", 0.0, -0.0),
        (initializers.truncated_normal, "std", 1, 1.0),
        (initializers.sparse_init, "sparsity", 1, 1.0),
    ],
    ids=repr,
)
def test_initialisers_with_options_of_another_type_or_sign_differ(init, option, left, right):
    one, other = init(**{option: left}), init(**{option: right})
    assert one != other
    assert nn.Dense(2, 2, init_weight=one) != nn.Dense(2, 2, init_weight=other)
    assert one == init(**{option: left}) == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))


def test_initialisers_with_options_that_are_not_hashable_are_refused():
    with pytest.raises(TypeError, match=r"`Initializer.options` must be hashable"):
        initializers.identity_init(shift=[1, 0])
