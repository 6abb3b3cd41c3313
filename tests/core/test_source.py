import functools

import jax
import pytest

from sciml_lux.core.internal import assigned_attributes, function_source

pytestmark = pytest.mark.any_precision


def decorate(function):
    return function


@decorate
@decorate
def written(m, x):
    # A comment stays.
    m.count = x

    def inner():
        m.total += 1

    return inner


PAIR = [lambda a: a + 1, lambda a: a - 1]
WRAPPED = lambda a: (
    a + 1
)  # fmt: skip
CURRIED = lambda a: lambda b: a + b


class Method:
    def __call__(self, m):
        m.count = 1


TEXT = """\
def written(m, x):
    # A comment stays.
    m.count = x

    def inner():
        m.total += 1

    return inner"""


def test_source_of_a_def_is_its_text_without_decorators():
    assert function_source(written) == TEXT
    assert function_source(functools.partial(written, 1)) == TEXT
    assert function_source(jax.jit(written)) == TEXT

    def local(m):
        return m

    assert function_source(local) == "def local(m):\n    return m"


def test_source_of_a_lambda_is_the_lambda_alone():
    assert [function_source(f) for f in PAIR] == ["lambda a: a + 1", "lambda a: a - 1"]
    assert function_source(WRAPPED) == "lambda a: a + 1"
    assert function_source(CURRIED) == "lambda a: lambda b: a + b"
    assert function_source(CURRIED(1)) == "lambda b: a + b"


def test_source_that_cannot_be_found_is_none():
    names = {}
    exec("def f(x):\n    return x", names)
    assert function_source(names["f"]) is None and function_source(len) is None


def test_assigned_attributes_are_found_in_inner_functions_and_behind_wrappers():
    assert assigned_attributes(written) == {"count", "total"}
    assert assigned_attributes(jax.jit(functools.partial(written, 1))) == {"count", "total"}
    assert assigned_attributes(Method()) == {"count"}
    assert assigned_attributes(len) == assigned_attributes(PAIR[0]) == frozenset()
