"""Every public name of `training`, `io` and `devices` has an example that shows what it does."""

import doctest
import inspect
import types

import pytest

from sciml_lux import devices, io, training
from sciml_lux.training import schedules


def names_of(table):
    values = {name: value for name, value in vars(table).items() if not name.startswith("_")}
    return [name for name, value in values.items() if not isinstance(value, types.ModuleType)]


NAMES = [(table, name) for table in (training, schedules, io, devices) for name in names_of(table)]


def example_of(table, name):
    text = inspect.getdoc(getattr(table, name)) or ""
    return doctest.DocTestParser().get_doctest(text, {}, name, None, None)


@pytest.mark.parametrize(("table", "name"), NAMES, ids=[name for _, name in NAMES])
def test_every_public_name_has_an_example(table, name):
    assert any(step.want for step in example_of(table, name).examples)


@pytest.mark.parametrize("name", names_of(schedules))
def test_example_of_every_schedule_gives_what_it_shows(name):
    # pytest does not collect them: their module, as of everything that they wrap, is optax's.
    example = example_of(schedules, name)
    assert any(f"schedules.{name}(" in step.source for step in example.examples)
    report = []
    results = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not results.failed, "".join(report)
