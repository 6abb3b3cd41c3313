import math

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.core.internal import (
    check_choice,
    check_function,
    check_integer,
    check_number,
    is_integer,
    is_number,
)

pytestmark = pytest.mark.any_precision


@pytest.mark.parametrize("value", [0, 3, -2, np.int32(3), np.uint8(1), 2**70])
def test_integers(value):
    assert is_integer(value) and is_number(value)
    check_integer("Dense", "in_dims", value)


@pytest.mark.parametrize(
    "value", [True, False, np.bool_(1), 1.0, "1", None, np.ones(1, int), jnp.ones((), int), (1,)]
)
def test_what_is_not_an_integer(value):
    assert not is_integer(value)
    with pytest.raises(TypeError, match=r"`Dense` expects `in_dims` to be an integer, got .*\. Pa"):
        check_integer("Dense", "in_dims", value, remedy="Pass a size.")


@pytest.mark.parametrize("value", [0, 0.5, -math.inf, math.nan, np.float32(1.0), np.int8(1)])
def test_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize("value", [True, np.bool_(1), 1j, "1", None, np.ones(1), jnp.ones(())])
def test_what_is_not_a_number(value):
    assert not is_number(value)
    with pytest.raises(TypeError, match=r"`Dropout` expects `p` to be a number, got "):
        check_number("Dropout", "p", value)


@pytest.mark.parametrize(
    ("limits", "right", "wrong", "text"),
    [
        ({"least": 0}, [0, 0.0, math.inf], [-1e-300, math.nan], "a number of at least 0"),
        ({"least": 0, "most": 1}, [0, 1, 0.5], [1.5, -1, math.nan], r"a number in \[0, 1\]"),
        ({"above": 0}, [1e-300, math.inf], [0, -0.0, -1, math.nan], "a number above 0"),
        ({}, [-math.inf], [math.nan], "a number"),
    ],
)
def test_limits_of_numbers(limits, right, wrong, text):
    for value in right:
        check_number("Dropout", "p", value, **limits)
    for value in wrong:
        with pytest.raises(ValueError, match=rf"`Dropout` expects `p` to be {text}, got {value!r}"):
            check_number("Dropout", "p", value, **limits)


def test_least_integer():
    check_integer("Dense", "in_dims", 0, least=0)
    with pytest.raises(ValueError, match=r"`Dense` expects `in_dims` to be an integer of at least"):
        check_integer("Dense", "in_dims", -1, least=0)


def test_choices_are_told_by_value_and_type():
    check_choice("Batches", "last_batch", "drop", ("drop", "wrap"))
    with pytest.raises(
        ValueError, match=r'`Batches` expects `last_batch` to be "drop" or "wrap", '
    ):
        check_choice("Batches", "last_batch", "keep", ("drop", "wrap"))
    with pytest.raises(ValueError, match=r"to be 1, 2 or 3, got True\. Count\."):
        check_choice("MaxPool", "axes", True, [1, 2, 3], remedy="Count.")
    with pytest.raises(ValueError, match=r"to be 1, got array"):
        check_choice("MaxPool", "axes", np.ones(2), [1])


def test_functions():
    check_function("Dense", "activation", abs)
    with pytest.raises(
        TypeError, match=r"expects `activation` to be a function such as nn\.tanh, "
    ):
        check_function("Dense", "activation", "tanh", such_as="nn.tanh")
    with pytest.raises(TypeError, match=r"to be a function, got None\. Pass one\."):
        check_function("Dense", "activation", None, remedy="Pass one.")


def test_long_integer_is_compared_with_the_limits():
    check_number("A", "rate", 10**400, above=0)
    with pytest.raises(ValueError, match="`A` expects `rate` to be a number above 0, got -1000"):
        check_number("A", "rate", -(10**400), above=0)
