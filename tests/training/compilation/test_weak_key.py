"""Keys compare as the values that they stand for."""

import dataclasses
import fractions
import functools
import gc
import weakref

import jax
import numpy as np
import pytest

from sciml_lux import nn
from sciml_lux.core import StaticValue
from sciml_lux.training.compilation._weak_key import NotReferableError, references_of, weak_key

pytestmark = pytest.mark.any_precision


class Options(StaticValue):
    value: object


@dataclasses.dataclass(frozen=True)
class Pair:
    left: object
    right: object = 0


@dataclasses.dataclass(frozen=True)
class Extended(Pair):
    def __post_init__(self):
        object.__setattr__(self, "hidden", object())


class ByIdentity:
    def method(self):
        pass


class ByValue:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, ByValue) and self.value == other.value

    def __hash__(self):
        return hash(self.value)


@pytest.mark.parametrize(
    "build", [lambda v: v, lambda v: (v,), Options, Pair, lambda v: frozenset({v})]
)
def test_numbers_are_the_same_only_with_their_sign_and_type(build):
    values = [0.0, -0.0, 0, False, 0j, "0", b"0", None]
    if not isinstance(build(0), Options):  # It holds Python numbers in place of NumPy's.
        values += [np.float32(0), np.int8(0)]
    assert len({weak_key(build(value)) for value in values}) == len(values)
    for value in (
        *values,
        float("nan"),
        fractions.Fraction(1, 3),
        np.dtype("float32"),
        np.sin,
        len,
    ):
        assert weak_key(build(value)) == weak_key(build(value))


def test_objects_compare_as_they_do_themselves():
    one, other = ByIdentity(), ByIdentity()
    assert weak_key(one) == weak_key(one) != weak_key(other)
    assert weak_key(one.method) == weak_key(one.method) != weak_key(other.method)
    equal, values = ByValue(1), ByValue(1)
    assert weak_key(equal) == weak_key(values) != weak_key(ByValue(2))
    partial, anew = functools.partial(len), functools.partial(len)
    assert weak_key(partial) == weak_key(partial) != weak_key(anew)
    build = lambda: lambda: None
    function, written_anew = build(), build()
    assert weak_key(function) == weak_key(function) != weak_key(written_anew)
    hidden, same_fields = Extended(1), Extended(1)
    hidden_key = weak_key(hidden)
    assert references_of(hidden_key)[0]() is hidden  # It is more than its fields.
    assert weak_key((1, 2)) != weak_key((2, 1)) and weak_key(frozenset((1, 2))) == weak_key(
        frozenset((2, 1))
    )
    assert weak_key(nn.Dense(1, 2)) == weak_key(nn.Dense(1, 2)) != weak_key(nn.Dense(2, 2))
    tree = jax.tree.structure((1, 2))
    assert weak_key(tree) == weak_key(jax.tree.structure((3, 4)))
    del same_fields


def test_key_tells_of_all_that_may_die_and_holds_nothing():
    function, entry = (lambda: None), ByIdentity()
    value = nn.Chain(nn.Dense(1, 2, function), nn.Dense(2, 1))
    key = weak_key((Options((value, entry.method)), Pair(function)))
    alive = [reference() for reference in references_of(key)]
    assert function in alive and entry in alive
    watched = [weakref.ref(function), weakref.ref(entry), weakref.ref(value)]
    del function, entry, value, alive
    gc.collect()
    assert [reference() for reference in watched] == [None] * 3


def test_key_at_the_address_of_another_value_is_another_key():
    keys = set()
    for number in range(50):  # Each at the place of the one before it.
        keys.add(weak_key(Options(number)))
    assert len(keys) == 50


def test_key_outlives_an_equal_value_that_it_was_first_made_of():
    first, second = ByValue(1), ByValue(1)
    keys = weak_key(Options(first)), weak_key(kept := Options(second))
    assert keys[0] is keys[1]
    del first
    gc.collect()
    assert all(reference() is not None for reference in references_of(weak_key(kept)))


class WithSlots:
    __slots__ = ()

    def method(self):
        pass


def test_object_without_weak_references_has_no_key():
    slotted = WithSlots()
    for value in (slotted, Options(slotted), (1, slotted), slotted.method):
        with pytest.raises(NotReferableError, match="a WithSlots compares by identity"):
            weak_key(value)
    with pytest.raises(TypeError, match="unhashable"):
        weak_key([1])
