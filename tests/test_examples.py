"""Every public name shows in its docstring how it is used, in an example that pytest runs."""

import doctest
import functools
import importlib

import pytest

# The examples of initialisers, which are values, have a test of their own.
PACKAGES = ("autodiff", "core", "losses", "ode", "precision", "programs", "testing")


def public_names(package):
    """The names that a package defines for users, with where they are defined."""
    table = importlib.import_module(f"sciml_lux.{package}")
    for name, value in vars(table).items():
        module = getattr(value, "__module__", None) or ""
        if not name.startswith("_") and module.startswith(f"{table.__name__}."):
            yield module, getattr(value, "__qualname__", name)


@functools.cache
def names_with_examples(module):
    """What of a module pytest finds examples in."""
    found = doctest.DocTestFinder().find(importlib.import_module(module), module)
    return {test.name.removeprefix(f"{module}.") for test in found if test.examples}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_example(package):
    names = dict.fromkeys(public_names(package))
    assert names
    assert [f"{m}.{n}" for m, n in names if n not in names_with_examples(m)] == []
