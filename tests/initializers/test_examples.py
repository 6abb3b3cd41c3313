"""The examples of the initialisers, which pytest does not find: they are values, not functions."""

import doctest
import inspect

import pytest

from sciml_lux import initializers
from sciml_lux.initializers import Initializer

pytestmark = pytest.mark.any_precision
ALL = {name: value for name, value in vars(initializers).items() if isinstance(value, Initializer)}


@pytest.mark.parametrize("name", ALL)
def test_example_of_every_initializer_gives_what_it_shows(name):
    text = inspect.getdoc(ALL[name].function)
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    assert any(f"{name}(" in step.source for step in example.examples)
    report = []
    results = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not results.failed, "".join(report)
