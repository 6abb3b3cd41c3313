"""Every public function of arrays shows in its docstring how it is used; pytest runs that."""

import doctest
import functools
import importlib
import inspect

import pytest

from sciml_lux import ops

NAMES = [name for name, value in vars(ops).items() if inspect.isfunction(value)]


@functools.cache
def names_with_examples(module):
    """What of a module pytest finds examples in."""
    found = doctest.DocTestFinder().find(importlib.import_module(module), module)
    return {test.name.removeprefix(f"{module}.") for test in found if test.examples}


@pytest.mark.parametrize("name", NAMES)
def test_every_public_function_has_an_example_that_calls_it(name):
    function = getattr(ops, name)
    assert name in names_with_examples(function.__module__)
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(function))
    assert any(f"{name}(" in example.source for example in examples)
