"""Every attribute of a value is a field: nothing is hidden from equality, pickle and copies."""

import copy
import dataclasses
import functools
import pickle

import pytest

from sciml_lux import Layer, StaticValue, losses, nn, training

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]


class FromInitVar(Layer):
    dims: int
    scale: dataclasses.InitVar[float] = 2.0
    doubled: float = dataclasses.field(init=False)

    def __post_init__(self, scale):
        object.__setattr__(self, "doubled", 2.0 * scale)


class Cached(StaticValue):
    value: int

    def __post_init__(self):
        _ = self.squared, hash(self)  # Of the value as it was given.
        object.__setattr__(self, "value", self.value + 1)

    @functools.cached_property
    def squared(self):
        return self.value**2


class Custom(StaticValue):
    value: int
    unit: str = "m"

    def __init__(self, half):
        object.__setattr__(self, "value", 2 * half)


MESSAGE = r"`{}` expects every attribute to be a field, got `scale`, .* Annotate it in the class"


@pytest.mark.parametrize("base", [StaticValue, Layer, losses.LossFunction, training.AutoReverse])
def test_attribute_set_in_post_init_is_refused(base):
    class Hidden(base):
        scale: dataclasses.InitVar[float] = 2.0

        def __post_init__(self, scale):
            object.__setattr__(self, "scale", scale)

    with pytest.raises(TypeError, match=MESSAGE.format("Hidden")):
        Hidden(3.0)


def test_attribute_set_in_an_init_is_refused():
    class Hidden(Layer):
        dims: int

        def __init__(self, dims, scale):
            object.__setattr__(self, "dims", dims)
            self.__dict__["scale"] = scale

    with pytest.raises(TypeError, match=MESSAGE.format("Hidden")):
        Hidden(1, 2.0)


def test_attribute_that_hides_one_of_the_class_is_refused():
    class Hidden(Layer):
        dims: int
        scale = 1.0

        def __post_init__(self):
            object.__setattr__(self, "scale", 2.0)

    with pytest.raises(TypeError, match=MESSAGE.format("Hidden")):
        Hidden(1)


@pytest.mark.parametrize("use", [hash, pickle.dumps, copy.copy, copy.deepcopy])
def test_attribute_set_later_is_refused_where_it_would_be_lost(use):
    model = nn.Dense(2, 3)
    object.__setattr__(model, "scale", 2.0)
    with pytest.raises(TypeError, match=MESSAGE.format("Dense")):
        use(model)


def test_slots_are_refused():
    with pytest.raises(TypeError, match=r"`Slotted` cannot have `__slots__`"):

        class Slotted(StaticValue):
            __slots__ = ("hidden",)


def test_field_that_is_not_set_takes_its_default_or_is_refused():
    assert Custom(2).__dict__ == {"value": 4, "unit": "m"}
    assert Custom(2) == pickle.loads(pickle.dumps(Custom(2)))

    class Forgets(StaticValue):
        value: int

        def __init__(self):
            pass

    with pytest.raises(TypeError, match=r"`Forgets` expects every field to be set .* no `value`"):
        Forgets()


def test_what_follows_from_an_init_var_is_a_field():
    model = FromInitVar(1, 3.0)
    assert model.doubled == 6.0
    assert model != FromInitVar(1, 4.0)
    for twin in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert twin == model and twin.doubled == 6.0


def test_cached_properties_follow_the_fields_as_they_are_in_the_end():
    value = Cached(1)
    assert value.__dict__ == {"value": 2}
    assert value.squared == 4
    assert value == Cached(1) and hash(value) == hash(Cached(1))
    for twin in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert twin.__dict__ == {"value": 2} and twin.squared == 4


def test_other_children_come_without_what_was_cached():
    net = nn.compact(lambda m, x: m.dense(x), dense=nn.Dense(1, 2))
    assert net.entries["dense"][1] == nn.Dense(1, 2)
    other = net.with_sublayers({"dense": nn.Dense(1, 3)})
    assert other.entries["dense"][1] == nn.Dense(1, 3)
    assert dataclasses.replace(net, name="Net").entries == net.entries
